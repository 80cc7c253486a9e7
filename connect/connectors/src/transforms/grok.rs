//! Grok patterns: `%{NAME:field:type}` over the usual pattern library.
//!
//! A pattern is expanded into one regular expression for the `regex` crate, which is fast and cannot run away. Some
//! patterns of the library look around, which it cannot: where a definition without looking around matches the same
//! in practice, [`OWN`] has it; what still needs it runs on the `grok` crate's backtracking engine.
//!
//! The access log patterns are tried twice: first in a strict form whose captures cost little, then in the library's.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use grok::parser::{GrokComponent, grok_split};
use regex::{CaptureLocations, Regex};
use serde_json::{Map, Value as Json};

use super::field::{Field, Type};

/// Definitions may refer to each other at most so deep.
const DEPTH_MAX: usize = 32;
/// A compiled pattern takes at most this much memory.
const REGEX_BYTES_MAX: usize = 64 << 20;

/// Definitions that need no looking around or backtracking, in place of the library's.
const OWN: [(&str, &str); 14] = [
    ("BASE10NUM", r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"),
    ("BASE16NUM", r"[+-]?(?:0x)?[0-9A-Fa-f]+"),
    ("BASE16FLOAT", r"\b[+-]?(?:0x)?(?:[0-9A-Fa-f]+(?:\.[0-9A-Fa-f]*)?|\.[0-9A-Fa-f]+)\b"),
    ("QUOTEDSTRING", r#"(?:"(?:\\.|[^\\"])*"|'(?:\\.|[^\\'])*'|`(?:\\.|[^\\`])*`)"#),
    ("IPV4", r"(?:(?:25[0-5]|2[0-4][0-9]|[0-1]?[0-9]{1,2})[.]){3}(?:25[0-5]|2[0-4][0-9]|[0-1]?[0-9]{1,2})"),
    ("YEAR", r"(?:\d\d){1,2}"),
    ("TIME", r"%{HOUR}:%{MINUTE}(?::%{SECOND})?"),
    ("WINPATH", r"(?:[A-Za-z]+:|\\)(?:\\[^\\?*]*)+"),
    ("UNIXPATH", r"(?:/[\w%!$@:.,+~-]*)+"),
    ("POSINT", r"[1-9][0-9]*"),
    ("NONNEGINT", r"[0-9]+"),
    ("WORD", r"\w+"),
    ("QS", "%{QUOTEDSTRING}"),
    ("SYSLOG5424SD", r"\[%{DATA}\]+"),
];

/// Which names the fields of access logs get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// `status` and `path` beside `request`, numbers as numbers, and nothing where the log has a `-`.
    Weir,
    /// Logstash's: `response`, all texts.
    Logstash,
}

/// Definitions that replace others: a name and what it stands for.
type Overlay = [(&'static str, &'static str)];

/// Access logs as nearly every line of them is: after each byte it is plain which part of the pattern comes next, so
/// that one pass over the line captures everything.
const STRICT: &Overlay = &[
    (
        "HTTPD_COMMONLOG",
        concat!(
            r#"(?<clientip>[^ ]+) (?<ident>[^ ]+) (?<auth>[^ ]+) \[(?<timestamp>[^\]]+)\] "#,
            r#""(?<verb>[A-Z]+) (?<request>(?<path>[^ ?"]*)(?:\?[^ "]*)?)(?: HTTP/(?<httpversion>[0-9.]+))?" "#,
            r"%{D:status:int=[0-9]+} %{D:bytes:int=[0-9]+|-}",
        ),
    ),
    ("HTTPD_COMBINEDLOG", r#"%{HTTPD_COMMONLOG} "(?<referrer>(?:[^"\\]|\\.)*)" "(?<agent>(?:[^"\\]|\\.)*)""#),
];

/// Access logs with all that clients can put into a request line.
const LENIENT: &Overlay = &[
    (
        "HTTPD_COMMONLOG",
        concat!(
            r#"(?<clientip>\S+) (?<ident>\S+) (?<auth>.*?) \[(?<timestamp>[^\]]+)\] "#,
            r#""(?:(?<verb>\w+) (?<request>(?<path>[^\s?"]*)\S*?)(?: HTTP/(?<httpversion>[0-9.]+))?|(?<rawrequest>.*?))" "#,
            r"%{D:status:int=[0-9]+} (?:%{D:bytes:int=[0-9]+}|-)",
        ),
    ),
    ("HTTPD_COMBINEDLOG", r#"%{HTTPD_COMMONLOG} "(?<referrer>(?:[^"\\]|\\.)*)" "(?<agent>(?:[^"\\]|\\.)*)""#),
];

/// [`STRICT`] with Logstash's names, texts and quotes.
const STRICT_LOGSTASH: &Overlay = &[
    (
        "HTTPD_COMMONLOG",
        concat!(
            r#"(?<clientip>[^ ]+) (?<ident>[^ ]+) (?<auth>[^ ]+) \[(?<timestamp>[^\]]+)\] "#,
            r#""(?<verb>[A-Z]+) (?<request>[^ "]+)(?: HTTP/(?<httpversion>[0-9.]+))?" "#,
            r"(?<response>[0-9]+) (?:(?<bytes>[0-9]+)|-)",
        ),
    ),
    ("HTTPD_COMBINEDLOG", r#"%{HTTPD_COMMONLOG} (?<referrer>"(?:[^"\\]|\\.)*") (?<agent>"(?:[^"\\]|\\.)*")"#),
];

/// The usual library. Digits are ASCII's: all that Unicode calls digits would make every pattern larger.
static LIBRARY: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    grok::patterns().iter().copied().chain(OWN).map(|(name, body)| (name, body.replace(r"\d", "[0-9]"))).collect()
});

#[derive(Debug, thiserror::Error)]
pub(super) enum GrokError {
    #[error("at character {position}: there is no pattern `{name}`{hint}")]
    Unknown { position: usize, name: String, hint: String },
    #[error(
        "at character {position}: `%{{` begins no pattern of the form %{{NAME}}, %{{NAME:field}} or %{{NAME:field:type}}"
    )]
    Syntax { position: usize },
    #[error("at character {position}: `{name}` is not a type: use int, float, boolean or string")]
    UnknownType { position: usize, name: String },
    #[error("at character {position}: definitions refer to each other more than {DEPTH_MAX} deep")]
    TooDeep { position: usize },
    #[error("{0}")]
    Regex(String),
}

/// A compiled pattern.
pub(super) struct Grok {
    engines: Vec<Engine>,
    skips_dashes: bool,
}

enum Engine {
    Regex { regex: Regex, captures: Vec<Capture>, locations: CaptureLocations },
    Backtracking(Box<grok::Pattern>),
}

/// A group of the expanded expression and the field that it fills.
struct Capture {
    group: usize,
    field: Field,
    kind: Type,
}

impl Grok {
    /// `definitions` go before the library's.
    pub(super) fn new(pattern: &str, definitions: &BTreeMap<String, String>, names: Names) -> Result<Self, GrokError> {
        let own = definitions.iter().map(|(name, body)| (&**name, &**body));
        let library: HashMap<&str, &str> = LIBRARY.iter().map(|(name, body)| (*name, &**body)).chain(own).collect();
        let overlays: [&Overlay; 2] = match names {
            Names::Weir => [STRICT, LENIENT],
            Names::Logstash => [STRICT_LOGSTASH, &[]],
        };
        let mut engines = Vec::new();
        let mut expansions = Vec::new();
        for overlay in overlays {
            let mut library = library.clone();
            library.extend(overlay.iter().copied().filter(|(name, _)| !definitions.contains_key(*name)));
            let mut expansion = Expansion { patterns: &library, regex: String::new(), fields: Vec::new() };
            expansion.expand(pattern, None, 0)?;
            expansions.push((expansion.regex, expansion.fields));
        }
        if expansions[0] == expansions[1] {
            expansions.remove(0);
        } else {
            // Only a pattern that is tied to the line's beginning can be matched in one pass.
            expansions[0].0.insert(0, '^');
        }
        for (regex, fields) in &expansions {
            engines.push(engine(regex, fields, pattern, definitions)?);
        }
        Ok(Self { engines, skips_dashes: names == Names::Weir })
    }

    /// Puts what the pattern captures into `object`. `false` when it does not match.
    pub(super) fn capture(&mut self, text: &str, object: &mut Map<String, Json>) -> bool {
        let skips_dashes = self.skips_dashes;
        self.engines.iter_mut().any(|engine| engine.capture(text, skips_dashes, object))
    }
}

impl Engine {
    fn capture(&mut self, text: &str, skips_dashes: bool, object: &mut Map<String, Json>) -> bool {
        match self {
            Self::Regex { regex, captures, locations } => {
                if regex.captures_read(locations, text).is_none() {
                    return false;
                }
                for capture in captures {
                    let Some((start, end)) = locations.get(capture.group) else { continue };
                    put(&capture.field, capture.kind, &text[start..end], skips_dashes, object);
                }
                true
            }
            Self::Backtracking(pattern) => {
                let Some(matches) = pattern.match_against(text) else { return false };
                for (name, found) in &matches {
                    let kind = pattern.get_extract(name).and_then(Type::named).unwrap_or(Type::String);
                    put(&Field::new(name), kind, found, skips_dashes, object);
                }
                true
            }
        }
    }
}

fn put(field: &Field, kind: Type, text: &str, skips_dashes: bool, object: &mut Map<String, Json>) {
    if skips_dashes && text == "-" {
        return;
    }
    // A number too long to be one stays readable as a text.
    let value = kind.read(text).unwrap_or_else(|| text.into());
    field.set(object, value);
}

fn engine(
    regex: &str,
    fields: &[(Field, Type)],
    pattern: &str,
    definitions: &BTreeMap<String, String>,
) -> Result<Engine, GrokError> {
    match regex::RegexBuilder::new(regex).size_limit(REGEX_BYTES_MAX).build() {
        Ok(regex) => {
            let captures = captures(&regex, fields);
            let locations = regex.capture_locations();
            Ok(Engine::Regex { regex, captures, locations })
        }
        Err(error) => {
            let mut backtracking = grok::Grok::with_default_patterns();
            for (name, definition) in definitions {
                backtracking.add_pattern(name.as_str(), definition.as_str());
            }
            let compiled = backtracking.compile(pattern, true).map_err(|_| GrokError::Regex(error.to_string()))?;
            Ok(Engine::Backtracking(Box::new(compiled)))
        }
    }
}

/// The groups that fill fields: those of `%{…:field}` by their number in `fields`, those of the expression itself by
/// their own names.
fn captures(regex: &Regex, fields: &[(Field, Type)]) -> Vec<Capture> {
    let named = regex.capture_names().enumerate().filter_map(|(group, name)| Some((group, name?)));
    named
        .map(|(group, name)| {
            let numbered = name.strip_prefix(GROUP_PREFIX).and_then(|number| fields.get(number.parse::<usize>().ok()?));
            let (field, kind) = numbered.cloned().unwrap_or_else(|| (Field::new(name), Type::String));
            Capture { group, field, kind }
        })
        .collect()
}

/// Field names may hold what group names may not, and may come twice.
const GROUP_PREFIX: &str = "_f";

struct Expansion<'a> {
    patterns: &'a HashMap<&'a str, &'a str>,
    regex: String,
    fields: Vec<(Field, Type)>,
}

impl Expansion<'_> {
    /// Appends `pattern`. `outer` is where in the user's own pattern this one is referred to.
    fn expand(&mut self, pattern: &str, outer: Option<usize>, depth: usize) -> Result<(), GrokError> {
        let mut at = 0;
        for component in grok_split(pattern) {
            let position = outer.unwrap_or_else(|| pattern[..at].chars().count() + 1);
            if depth > DEPTH_MAX {
                return Err(GrokError::TooDeep { position });
            }
            match component {
                GrokComponent::RegularExpression { string, range } => {
                    self.regex.push_str(string);
                    at = range.end;
                }
                GrokComponent::PatternError(_) => return Err(GrokError::Syntax { position }),
                GrokComponent::GrokPattern { name, alias, extract, definition, range, .. } => {
                    let patterns = self.patterns;
                    let body = if definition.is_empty() { patterns.get(name).copied() } else { Some(definition) };
                    let body =
                        body.ok_or_else(|| GrokError::Unknown { position, name: name.into(), hint: self.hint(name) })?;
                    self.open_group(alias, extract, position)?;
                    self.expand(body, Some(position), depth + 1)?;
                    self.regex.push(')');
                    at = range.end;
                }
            }
        }
        Ok(())
    }

    fn open_group(&mut self, alias: &str, extract: &str, position: usize) -> Result<(), GrokError> {
        if alias.is_empty() {
            self.regex.push_str("(?:");
            return Ok(());
        }
        let unknown = || GrokError::UnknownType { position, name: extract.into() };
        let kind = if extract.is_empty() { Type::String } else { Type::named(extract).ok_or_else(unknown)? };
        self.regex.push_str(&format!("(?<{GROUP_PREFIX}{}>", self.fields.len()));
        // Logstash writes a field within another as [a][b].
        let name = alias.replace("][", ".").replace(['[', ']'], "");
        self.fields.push((Field::new(&name), kind));
        Ok(())
    }

    fn hint(&self, name: &str) -> String {
        let near = weir_connect_api::config::nearest(name, self.patterns.keys().copied());
        near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn capture(pattern: &str, names: Names, text: &str) -> Option<Json> {
        let mut object = Map::new();
        let matched = Grok::new(pattern, &BTreeMap::new(), names).unwrap().capture(text, &mut object);
        matched.then_some(Json::Object(object))
    }

    const COMBINED: &str = r#"203.0.113.9 - ann [10/Oct/2026:13:55:36 +0000] "GET /cart?line=7 HTTP/1.1" 200 512 "https://x.test/" "curl/8 \"x\"""#;

    #[test]
    fn an_access_log_line_has_numbers_where_numbers_are() {
        assert_eq!(
            capture("%{COMBINEDAPACHELOG}", Names::Weir, COMBINED),
            Some(json!({
                "clientip": "203.0.113.9", "auth": "ann", "timestamp": "10/Oct/2026:13:55:36 +0000", "verb": "GET",
                "request": "/cart?line=7", "path": "/cart", "httpversion": "1.1", "status": 200, "bytes": 512,
                "referrer": "https://x.test/", "agent": "curl/8 \\\"x\\\"",
            }))
        );
    }

    #[test]
    fn logstashs_names_are_to_be_had_too() {
        let found = capture("%{COMBINEDAPACHELOG}", Names::Logstash, COMBINED).unwrap();
        assert_eq!((&found["response"], &found["ident"], &found["bytes"]), (&json!("200"), &json!("-"), &json!("512")));
    }

    #[test]
    fn odd_access_log_lines_are_understood() {
        let raw = r#"::1 - a b [10/Oct/2026:13:55:36 +0000] "\x16\x03\x01 bad" 400 - "-" "-""#;
        let found = capture("%{COMBINEDAPACHELOG}", Names::Weir, raw).unwrap();
        assert_eq!(
            (&found["rawrequest"], &found["status"], &found["auth"]),
            (&json!("\\x16\\x03\\x01 bad"), &json!(400), &json!("a b"))
        );
        assert_eq!(found.get("bytes"), None);
    }

    #[test]
    fn the_usual_patterns_match_what_they_are_made_for() {
        for (pattern, text, field, value) in [
            ("%{IPORHOST:x}", "example.com", "x", json!("example.com")),
            ("%{IP:x}", "2001:db8::1", "x", json!("2001:db8::1")),
            ("%{NUMBER:x:float}", "-1.5", "x", json!(-1.5)),
            ("%{TIMESTAMP_ISO8601:x}", "2026-10-10T13:55:36.123+02:00", "x", json!("2026-10-10T13:55:36.123+02:00")),
            ("%{SYSLOGBASE} %{GREEDYDATA:m}", "Oct  1 13:55:36 host sshd[12]: hi there", "m", json!("hi there")),
            (r"\[%{LOGLEVEL:x}\]", "[ERROR]", "x", json!("ERROR")),
            ("%{UUID:x}", "123e4567-e89b-12d3-a456-426614174000", "x", json!("123e4567-e89b-12d3-a456-426614174000")),
            ("%{WORD:[user][name]} ", "ann ", "user", json!({"name": "ann"})),
            (r"id=(?<x>\d+)", "id=7", "x", json!("7")),
            (r"(?<!not )ok %{WORD:x}", "ok then", "x", json!("then")),
        ] {
            let found = capture(pattern, Names::Weir, text).unwrap_or_else(|| panic!("{pattern} does not match"));
            assert_eq!(found[field], value, "{pattern}");
        }
    }

    #[test]
    fn errors_name_the_place_and_the_nearest_pattern() {
        let error =
            |pattern: &str| Grok::new(pattern, &BTreeMap::new(), Names::Weir).err().expect("an error").to_string();
        assert_eq!(
            error("ü %{COMBINEDAPACHLOG}"),
            "at character 3: there is no pattern `COMBINEDAPACHLOG`; did you mean `COMBINEDAPACHELOG`?"
        );
        assert!(error("%{INT:a:uuid}").contains("`uuid` is not a type"));
        assert!(error("x %{INT").starts_with("at character 3"));
        assert!(error("%{INT:a} (").contains("unclosed group"));
        let rings = BTreeMap::from([("A".to_owned(), "%{A}".to_owned())]);
        assert!(matches!(Grok::new("%{A}", &rings, Names::Weir), Err(GrokError::TooDeep { position: 1 })));
    }

    #[test]
    fn nearly_the_whole_library_runs_on_the_fast_engine() {
        let compiled = grok::patterns().iter().filter(|(name, _)| {
            let grok = Grok::new(&format!("%{{{name}}}"), &BTreeMap::new(), Names::Logstash);
            grok.is_ok_and(|grok| grok.engines.iter().all(|engine| matches!(engine, Engine::Regex { .. })))
        });
        let (fast, all) = (compiled.count(), grok::patterns().len());
        assert!(fast * 100 >= all * 94, "{fast} of {all}");
    }
}
