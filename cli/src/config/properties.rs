//! Kafka's `.properties`: Java's properties format, with the place of every key.
//!
//! A logical line is a key, then `=`, `:` or blanks, then a value. A backslash at the end of a line continues it;
//! elsewhere it escapes the next character (`\t`, `\n`, `\r`, `\f`, `\u0041`). `#` and `!` begin comments. A key that
//! stands there twice has its last value, as in Kafka.

use std::sync::Arc;

use weir_broker::Property;
use weir_connect::yaml::{Entry, Flat, Location, Node, Value, YamlError};

use super::{Config, ConfigError, Part};

/// What makes a file a connector's.
const CONNECTOR_CLASS: &str = "connector.class";

/// Reads the text of `file`: a connector, or settings of `part`.
pub(super) fn read(file: &str, text: &str, part: Part) -> Result<Config, ConfigError> {
    let (mut config, flat) = (Config::default(), parse(file, text)?);
    if flat.contains_key(CONNECTOR_CLASS) {
        let entry = |(key, (value, at)): (String, (String, Location))| {
            let node = Node { at: at.clone(), value: Value::Scalar(value) };
            Entry { key, at, node }
        };
        let at = Location { file: file.into(), line: 1, column: 1 };
        config.documents.push(Node { at, value: Value::Mapping(flat.into_iter().map(entry).collect()) });
    } else {
        let property = |(key, (value, at)): (String, (String, Location))| (key, Property::new(value, at.to_string()));
        config.part(part).extend(flat.into_iter().map(property));
    }
    Ok(config)
}

fn parse(file: &str, text: &str) -> Result<Flat, YamlError> {
    let (mut properties, file): (_, Arc<str>) = (Flat::new(), file.into());
    let mut lines = text.lines().enumerate();
    while let Some((index, first)) = lines.next() {
        let body = first.trim_start_matches(is_blank);
        if body.is_empty() || body.starts_with(['#', '!']) {
            continue;
        }
        let column = first.chars().count() - body.chars().count() + 1;
        let mut logical = body.to_owned();
        while is_continued(&logical) {
            logical.pop();
            match lines.next() {
                Some((_, next)) => logical.push_str(next.trim_start_matches(is_blank)),
                None => break,
            }
        }
        let at = Location { file: Arc::clone(&file), line: index + 1, column };
        let (key, value) = split(&logical);
        let unescaped = |text: &str| unescape(text).map_err(|message| YamlError::new(&at, message));
        let (key, value) = (unescaped(key)?, unescaped(value)?);
        if key.is_empty() {
            return Err(YamlError::new(&at, "a value without a key: write key=value"));
        }
        properties.insert(key, (value, at));
    }
    Ok(properties)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// An odd number of backslashes at the end: the last one is not escaped itself.
fn is_continued(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// At the first `=`, `:` or blank that is not escaped; blanks around one separator belong to neither side.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let ends = !escaped && (is_blank(*c) || matches!(c, '=' | ':'));
        escaped = !escaped && *c == '\\';
        ends
    });
    let (key, rest) = line.split_at(end.map_or(line.len(), |(at, _)| at));
    let rest = rest.trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('f') => out.push('\x0c'),
            Some('u') => out.push(code_unit(&mut chars)?),
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

fn code_unit(chars: &mut std::str::Chars<'_>) -> Result<char, String> {
    let digits: String = chars.by_ref().take(4).collect();
    let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
    code.and_then(char::from_u32).ok_or_else(|| format!("`\\u{digits}` is not a character: \\u takes four hex digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String, String)> {
        let properties = parse("server.properties", text).unwrap();
        properties.into_iter().map(|(key, (value, at))| (key, value, at.to_string())).collect()
    }

    #[test]
    fn keys_and_values_are_split_as_java_does_it() {
        let text = "# comment\n! another\n\nnode.id=1\n  log.dirs : /a,/b\nlisteners PLAINTEXT://:9092\nempty\nurl=http://x:1/=\n";
        let found = pairs(text);
        let found: Vec<_> = found.iter().map(|(k, v, o)| (k.as_str(), v.as_str(), o.as_str())).collect();
        assert_eq!(
            found,
            [
                ("node.id", "1", "server.properties:4:1"),
                ("log.dirs", "/a,/b", "server.properties:5:3"),
                ("listeners", "PLAINTEXT://:9092", "server.properties:6:1"),
                ("empty", "", "server.properties:7:1"),
                ("url", "http://x:1/=", "server.properties:8:1"),
            ]
        );
    }

    #[test]
    fn backslashes_continue_lines_and_escape() {
        let found = pairs("a=x,\\\n   y\nb\\=c=\\u00e4\\tz\\\\\nd=C:\\\\data\n");
        let found: Vec<_> = found.iter().map(|(k, v, _)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, [("a", "x,y"), ("b=c", "ä\tz\\"), ("d", "C:\\data")]);
    }

    #[test]
    fn a_connectors_file_is_a_connector_and_another_is_for_its_part() {
        let connector =
            read("tail.properties", "name=tail\nconnector.class=file-tail\npaths=/a\\u0020b\n", Part::Broker);
        let connector = connector.unwrap().connectors().unwrap().connectors.remove(0);
        assert_eq!((connector.name.as_str(), connector.config["paths"].as_str()), ("tail", "/a b"));
        assert_eq!(connector.at.to_string(), "tail.properties:1:1");
        let settings = read("worker.properties", "group.id=a\n", Part::Connect).unwrap();
        assert_eq!(settings.connect["group.id"], Property::new("a", "worker.properties:1:1"));
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        let found = pairs("a=1\na=2\n");
        assert_eq!(found, [("a".to_owned(), "2".to_owned(), "server.properties:2:1".to_owned())]);
    }

    #[test]
    fn what_is_malformed_is_said_with_its_line() {
        for (text, expected) in [
            ("a=1\nb=\\u12\n", "s:2:1: `\\u12` is not a character: \\u takes four hex digits"),
            ("\n  =x\n", "s:2:3: a value without a key: write key=value"),
        ] {
            assert_eq!(parse("s", text).unwrap_err().to_string(), expected);
        }
    }
}
