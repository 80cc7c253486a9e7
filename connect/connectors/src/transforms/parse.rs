//! `parse`: makes fields of a text, by grok, a regular expression, JSON, key=value pairs, or CSV.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value as Json};
use weir_connect_api::{Config, ConfigKey, ConfigProblem, ConfigType, ConnectError, Payload, Record, Transform};

use super::cast::typed_fields;
use super::field::{Field, Type};
use super::grok::{Grok, Names};
use super::{Plugin, json, problem};

/// How much of a text that does not match is shown in the error.
const SHOWN_CHARS: usize = 120;
const DEFINITIONS: &str = "definitions.";

/// `parse`, and each format under its own name.
pub(super) fn plugins() -> Vec<Plugin> {
    let plugin = |name: &'static str, aliases: &'static [&'static str], format: Option<&'static str>| {
        let mut plugin = Plugin::new(name, aliases, keys(format), build);
        plugin.definition = plugin.definition.with_prefix(DEFINITIONS);
        plugin
    };
    vec![
        plugin("parse", &[], None),
        plugin("grok", &["parse_grok"], Some("grok")),
        plugin("regex", &["parse_regex"], Some("regex")),
        plugin("json", &["parse_json"], Some("json")),
        plugin("key_value", &["kv", "logfmt", "parse_key_value"], Some("key_value")),
        plugin("csv", &["parse_csv"], Some("csv")),
    ]
}

fn keys(format: Option<&'static str>) -> Vec<ConfigKey> {
    use ConfigType::{List, String};
    let choice = ConfigKey::new("format", String, "What the text is: grok, regex, json, key_value or csv.").choices(&[
        "grok",
        "regex",
        "json",
        "key_value",
        "csv",
    ]);
    vec![
        format.map_or_else(|| choice.clone().required(), |format| choice.clone().default(format)),
        ConfigKey::new("pattern", String, "For grok: text with `%{NAME:field:type}`. For regex: an expression whose named groups are the fields. Further definitions for grok go into `definitions.NAME`."),
        ConfigKey::new("field", String, "The field that holds the text; without it the whole value is."),
        ConfigKey::new("target", String, "The field that gets the result; without it the fields come to stand beside the others."),
        ConfigKey::new("types", List, "Types of fields, as in `status:int, took:float`.").default(""),
        ConfigKey::new("names", String, "Names of the fields of access logs: weir's (`status`, `path`, numbers as numbers) or logstash's (`response`, all texts).")
            .default("weir")
            .choices(&["weir", "logstash"]),
        ConfigKey::new("on.mismatch", String, "What becomes of a text that is not of the format: an error of the record, or it passes unchanged.")
            .default("error")
            .choices(&["error", "pass"]),
        ConfigKey::new("pair.separator", String, "For key_value: what stands between pairs; any space when not set."),
        ConfigKey::new("value.separator", String, "For key_value: what stands between key and value.").default("="),
        ConfigKey::new("columns", List, "For csv: the names of the columns, in order."),
        ConfigKey::new("separator", String, "For csv: what stands between columns; one character.").default(","),
    ]
}

struct Parse {
    format: Format,
    field: Option<Field>,
    target: Option<Field>,
    types: Vec<(Field, Type)>,
    passes_mismatch: bool,
}

enum Format {
    Grok { grok: Box<Grok>, pattern: String },
    Regex { regex: Regex, names: Vec<(usize, Field)> },
    Json,
    KeyValue { pair: Option<String>, value: String },
    Csv { columns: Vec<Field>, separator: char },
}

fn build(config: &Config) -> Result<Box<dyn Transform>, Vec<ConfigProblem>> {
    Ok(Box::new(Parse {
        format: format(config)?,
        field: config.opt_str("field").map(Field::new),
        target: config.opt_str("target").map(Field::new),
        types: typed_fields("types", config)?,
        passes_mismatch: config.str("on.mismatch").eq_ignore_ascii_case("pass"),
    }))
}

fn format(config: &Config) -> Result<Format, Vec<ConfigProblem>> {
    let pattern = || config.opt_str("pattern").ok_or_else(|| problem("pattern", "is needed for this format"));
    Ok(match config.str("format").to_ascii_lowercase().as_str() {
        "grok" => {
            let definitions: BTreeMap<_, _> = config.below(DEFINITIONS).into_iter().collect();
            let is_logstash = config.str("names").eq_ignore_ascii_case("logstash");
            let names = if is_logstash { Names::Logstash } else { Names::Weir };
            let grok = Grok::new(pattern()?, &definitions, names).map_err(|e| problem("pattern", e))?;
            Format::Grok { grok: Box::new(grok), pattern: pattern()?.to_owned() }
        }
        "regex" => {
            let regex = Regex::new(pattern()?).map_err(|e| problem("pattern", e))?;
            let names = regex.capture_names().enumerate().filter_map(|(group, name)| Some((group, Field::new(name?))));
            let names: Vec<_> = names.collect();
            if names.is_empty() {
                return Err(problem("pattern", "has no named group, as in `id=(?<id>\\d+)`: it would yield no field"));
            }
            Format::Regex { regex, names }
        }
        "key_value" => Format::KeyValue {
            pair: config.opt_str("pair.separator").map(str::to_owned),
            value: config.str("value.separator").to_owned(),
        },
        "csv" => {
            let columns = config.opt_str("columns").map(|_| config.list("columns")).unwrap_or_default();
            if columns.is_empty() {
                return Err(problem("columns", "is needed for csv: the names of the columns"));
            }
            let mut characters = config.str("separator").chars();
            let separator = match (characters.next(), characters.next()) {
                (Some(separator), None) => separator,
                _ => return Err(problem("separator", "is not one character")),
            };
            Format::Csv { columns: columns.into_iter().map(Field::new).collect(), separator }
        }
        _ => Format::Json,
    })
}

impl Transform for Parse {
    fn apply(&mut self, record: &mut Record) -> Result<bool, ConnectError> {
        let parsed = match &self.field {
            None => match &record.value {
                Payload::Bytes(bytes) | Payload::JsonText(bytes) => self.format.parse(bytes),
                Payload::Json(Json::String(text)) => self.format.parse(text.as_bytes()),
                // Parsed already: JSON of JSON is itself, and so is nothing.
                Payload::Json(Json::Object(_)) if matches!(self.format, Format::Json) => return Ok(true),
                Payload::Json(_) | Payload::Null => Err(ConnectError::record("the value is not a text")),
            },
            Some(field) => match json(record)?.as_object().and_then(|object| field.get_in(object)) {
                Some(Json::String(text)) => self.format.parse(text.as_bytes()),
                _ => Err(ConnectError::record(format!("there is no text in field {}", field.name()))),
            },
        };
        match parsed {
            Ok(parsed) => self.put(parsed, record).map(|()| true),
            Err(_) if self.passes_mismatch => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl Parse {
    fn put(&self, mut parsed: Json, record: &mut Record) -> Result<(), ConnectError> {
        if let Json::Object(fields) = &mut parsed {
            for (field, kind) in &self.types {
                if let Some(value) = field.get_mut(fields)
                    && let Some(read) = value.as_str().and_then(|text| kind.read(text))
                {
                    *value = read;
                }
            }
        }
        match (&self.target, &self.field) {
            (None, None) => record.value = Payload::Json(parsed),
            (None, Some(_)) => match (parsed, json(record)?) {
                (Json::Object(fields), Json::Object(object)) => object.extend(fields),
                _ => return Err(ConnectError::record("what was parsed has no fields: set `target` to give it a name")),
            },
            (Some(target), _) => {
                let value = json(record)?;
                match value {
                    Json::Object(object) => target.set(object, parsed),
                    _ => {
                        let mut object = Map::new();
                        target.set(&mut object, parsed);
                        *value = Json::Object(object);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Format {
    /// The text's fields, or why there are none.
    fn parse(&mut self, bytes: &[u8]) -> Result<Json, ConnectError> {
        if let Self::Json = self {
            return serde_json::from_slice(bytes)
                .map_err(|e| mismatch(format!("not JSON: {e}"), &String::from_utf8_lossy(bytes)));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|e| ConnectError::record(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
        let mut object = Map::with_capacity(16);
        match self {
            Self::Grok { grok, pattern } => {
                if !grok.capture(text, &mut object) {
                    return Err(mismatch(format!("does not match {pattern}"), text));
                }
            }
            Self::Regex { regex, names } => {
                let Some(captures) = regex.captures(text) else {
                    return Err(mismatch(format!("does not match {regex}"), text));
                };
                for (group, field) in names {
                    if let Some(found) = captures.get(*group) {
                        field.set(&mut object, found.as_str().into());
                    }
                }
            }
            Self::KeyValue { pair, value } => {
                key_values(text, pair.as_deref(), value, &mut object);
                if object.is_empty() {
                    return Err(mismatch(format!("has no key{value}value pairs"), text));
                }
            }
            Self::Csv { columns, separator } => {
                let values = csv_values(text, *separator);
                if values.len() != columns.len() {
                    return Err(mismatch(format!("{} columns, not {}", values.len(), columns.len()), text));
                }
                for (column, value) in columns.iter().zip(values) {
                    column.set(&mut object, value.into());
                }
            }
            Self::Json => {}
        }
        Ok(Json::Object(object))
    }
}

fn mismatch(message: String, text: &str) -> ConnectError {
    ConnectError::record(message).quoting(shown(text))
}

fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// `a=1 b="two words" c=`; what has no separator is passed over.
fn key_values(text: &str, pair: Option<&str>, separator: &str, object: &mut Map<String, Json>) {
    let mut rest = text;
    loop {
        rest = match pair {
            Some(pair) => rest.trim_start_matches(pair).trim_start(),
            None => rest.trim_start(),
        };
        if rest.is_empty() {
            return;
        }
        let end_of = |text: &str| {
            match pair {
                Some(pair) => text.find(pair),
                None => text.find(char::is_whitespace),
            }
            .unwrap_or(text.len())
        };
        let word_end = end_of(rest);
        let Some(at) = rest[..word_end].find(separator) else {
            rest = &rest[word_end..];
            continue;
        };
        let (key, mut value) = (rest[..at].trim(), &rest[at + separator.len()..]);
        if pair.is_some() {
            value = value.trim_start();
        }
        let value_text;
        (value_text, rest) = match value.strip_prefix('"').and_then(quoted) {
            Some((inside, after)) => (inside, after),
            None => (value[..end_of(value)].trim_end().to_owned(), &value[end_of(value)..]),
        };
        if !key.is_empty() {
            object.insert(key.to_owned(), value_text.into());
        }
    }
}

/// What stands before the closing quote, and what comes behind it. A backslash takes the next character as it is.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut inside = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((inside, &text[at + 1..])),
            '\\' => inside.extend(characters.next().map(|(_, c)| c)),
            _ => inside.push(character),
        }
    }
    None
}

/// One line of CSV (RFC 4180): quotes around a value, doubled within.
fn csv_values(text: &str, separator: char) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let value = values.last_mut().expect("there is always a value begun");
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                value.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if value.is_empty() => is_quoted = true,
            _ if character == separator && !is_quoted => values.push(String::new()),
            _ => value.push(character),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{build, line, object_of, problem_of, run};
    use super::*;

    #[test]
    fn lines_of_each_format_become_fields() {
        for (kind, keys, text, expected) in [
            ("json", vec![], r#"{"a": 1}"#, json!({"a": 1})),
            ("grok", vec![("pattern", "%{WORD:a} %{INT:b:int}")], "x 7", json!({"a": "x", "b": 7})),
            ("regex", vec![("pattern", r"id=(?P<id>\d+)"), ("types", "id:int")], "id=7", json!({"id": 7})),
            ("logfmt", vec![], r#"a=1 junk b="two \"words\"" c="#, json!({"a": "1", "b": "two \"words\"", "c": ""})),
            ("kv", vec![("pair.separator", ";"), ("value.separator", ":")], "a: 1; b:2", json!({"a": "1", "b": "2"})),
            ("csv", vec![("columns", "a,b,c")], r#"1,"x,""y",  z"#, json!({"a": "1", "b": "x,\"y", "c": "  z"})),
            ("parse", vec![("format", "json")], "[1]", json!([1])),
        ] {
            assert_eq!(run(kind, &keys, line(text)), Some(expected), "{kind}");
        }
    }

    #[test]
    fn a_field_is_parsed_in_place_beside_the_others() {
        let keys =
            [("format", "regex"), ("field", "request"), ("pattern", r"line=(?P<line>\d+)"), ("types", "line:int")];
        let value = run("parse", &keys, object_of(json!({"request": "/a?line=7", "x": 1})));
        assert_eq!(value, Some(json!({"request": "/a?line=7", "x": 1, "line": 7})));
        let keys = [("field", "body"), ("target", "body")];
        assert_eq!(run("json", &keys, object_of(json!({"body": "{\"a\":1}"}))), Some(json!({"body": {"a": 1}})));
    }

    #[test]
    fn a_text_of_another_format_is_an_error_or_passes_and_is_not_lost() {
        let mut record = line("hello");
        let error = build("json", &[]).unwrap().apply(&mut record).unwrap_err();
        assert_eq!(error.message, "not JSON: expected value at line 1 column 1");
        assert_eq!(error.in_full(), format!("{error}: `hello`"));
        assert_eq!(record.value, Payload::Bytes("hello".into()), "the dead letter has the line");
        assert_eq!(run("json", &[("on.mismatch", "pass")], line("hello")), Some(json!("hello")));
        let error = build("csv", &[("columns", "a,b")]).unwrap().apply(&mut line("1")).unwrap_err();
        assert_eq!(error.in_full(), "1 columns, not 2: `1`");
    }

    #[test]
    fn own_definitions_go_before_the_library() {
        let keys = [("pattern", "%{ID:id} %{WORD:w}"), ("definitions.ID", "#[0-9]+")];
        assert_eq!(run("grok", &keys, line("#12 x")), Some(json!({"id": "#12", "w": "x"})));
    }

    #[test]
    fn bad_patterns_are_named_with_their_place() {
        assert_eq!(
            problem_of("grok", &[("pattern", "a %{WRD:x}")]),
            "pattern: at character 3: there is no pattern `WRD`; did you mean `WORD`?"
        );
        assert!(problem_of("regex", &[("pattern", "a+")]).contains("no named group"));
        assert_eq!(problem_of("grok", &[]), "pattern: is needed for this format");
    }
}
