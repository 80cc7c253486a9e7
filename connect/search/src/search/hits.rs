//! How a document is shown: its source, chosen fields, marks.

use chrono::DateTime;
use serde_json::{Map, Value, json};

use super::request::{FieldPattern, SourceFilter};
use crate::index::name::wildcard_matches;
use crate::index::schema::TIMESTAMP;

/// The leaves of a source by their path, with arrays as several values.
pub(crate) fn flatten(source: &Map<String, Value>) -> Vec<(String, Vec<Value>)> {
    let mut flat = Vec::new();
    for (key, value) in source {
        flatten_into(key.clone(), value, &mut flat);
    }
    flat
}

fn flatten_into(path: String, value: &Value, flat: &mut Vec<(String, Vec<Value>)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten_into(format!("{path}.{key}"), value, flat);
            }
        }
        Value::Array(values) => {
            for value in values {
                flatten_into(path.clone(), value, flat);
            }
        }
        Value::Null => {}
        leaf => match flat.iter_mut().find(|(known, _)| *known == path) {
            Some((_, values)) => values.push(leaf.clone()),
            None => flat.push((path, vec![leaf.clone()])),
        },
    }
}

/// The `fields` of a hit. The timestamp comes from the index, so that documents that took the record's have it too.
pub(crate) fn fields(flat: &[(String, Vec<Value>)], timestamp_ms: i64, wanted: &[FieldPattern]) -> Map<String, Value> {
    let mut fields = Map::new();
    for FieldPattern { pattern, format } in wanted {
        if wildcard_matches(pattern, TIMESTAMP) {
            fields.insert(TIMESTAMP.to_owned(), json!([time(timestamp_ms, format.as_deref())]));
        }
        for (path, values) in flat {
            if path != TIMESTAMP && wildcard_matches(pattern, path) {
                fields.insert(path.clone(), json!(values));
            }
        }
    }
    fields
}

fn time(ms: i64, format: Option<&str>) -> String {
    if format == Some("epoch_millis") {
        return ms.to_string();
    }
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// The part of a source that is asked for.
pub(crate) fn filter(source: Map<String, Value>, filter: &SourceFilter) -> Option<Value> {
    match filter {
        SourceFilter::All => Some(Value::Object(source)),
        SourceFilter::Nothing => None,
        SourceFilter::Patterns { includes, excludes } => {
            let mut source = Value::Object(source);
            prune(&mut source, "", includes, excludes);
            Some(source)
        }
    }
}

fn prune(value: &mut Value, path: &str, includes: &[String], excludes: &[String]) {
    let Value::Object(fields) = value else { return };
    fields.retain(|key, value| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let is_in = |patterns: &[String]| patterns.iter().any(|pattern| wildcard_matches(pattern, &path));
        if is_in(excludes) {
            return false;
        }
        if includes.is_empty() || is_in(includes) {
            prune(value, &path, &[], excludes);
            return true;
        }
        prune(value, &path, includes, excludes);
        value.as_object().is_some_and(|fields| !fields.is_empty())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Map<String, Value> {
        let source = json!({"@timestamp":"x","a":{"b":1,"c":[2,{"d":3}]},"e":[4,5],"n":null});
        source.as_object().unwrap().clone()
    }

    #[test]
    fn leaves_are_named_by_their_path_and_arrays_are_several_values() {
        let flat = flatten(&source());
        let expected = [
            ("@timestamp", json!(["x"])),
            ("a.b", json!([1])),
            ("a.c", json!([2])),
            ("a.c.d", json!([3])),
            ("e", json!([4, 5])),
        ];
        let flat: Vec<_> = flat.iter().map(|(path, values)| (path.as_str(), json!(values))).collect();
        assert_eq!(flat, expected);
    }

    #[test]
    fn fields_take_patterns_and_the_timestamp_of_the_index() {
        let wanted = |pattern: &str, format: Option<&str>| {
            [FieldPattern { pattern: pattern.to_owned(), format: format.map(str::to_owned) }]
        };
        let flat = flatten(&source());
        assert_eq!(Value::Object(fields(&flat, 1_500, &wanted("a.*", None))), json!({"a.b":[1],"a.c":[2],"a.c.d":[3]}));
        assert_eq!(
            Value::Object(fields(&flat, 1_500, &wanted("@timestamp", None))),
            json!({"@timestamp":["1970-01-01T00:00:01.500Z"]})
        );
        let millis = fields(&flat, 1_500, &wanted("@timestamp", Some("epoch_millis")));
        assert_eq!(Value::Object(millis), json!({"@timestamp":["1500"]}));
    }

    #[test]
    fn a_source_is_cut_to_what_is_asked_for() {
        let patterns = |includes: &[&str], excludes: &[&str]| SourceFilter::Patterns {
            includes: includes.iter().map(|&p| p.to_owned()).collect(),
            excludes: excludes.iter().map(|&p| p.to_owned()).collect(),
        };
        assert_eq!(filter(source(), &patterns(&["a.b", "e"], &[])), Some(json!({"a":{"b":1},"e":[4,5]})));
        assert_eq!(filter(source(), &patterns(&[], &["a*", "n"])), Some(json!({"@timestamp":"x","e":[4,5]})));
        assert_eq!(filter(source(), &SourceFilter::Nothing), None);
    }
}
