//! From a JSON object to the fields of a shard.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime};
use serde_json::{Map, Value};
use tantivy::schema::TantivyDocument;

use super::name::NameError;
use super::schema::{Fields, MESSAGE, TIMESTAMP};
use crate::limits::{DOCUMENT_BYTES_MAX, DOCUMENT_FIELDS_MAX, ID_BYTES_MAX, TIMESTAMP_MS_MAX};

/// Partitions of one topic that get distinct tie-breakers at the same offset and millisecond.
const SEQ_PARTITIONS: i64 = 1 << 10;

/// One document on its way into the index.
#[derive(Debug, Clone)]
pub struct Document {
    /// The index it belongs to. `nginx` spreads over a shard per day; `nginx-2026.11.23` is one shard.
    pub index: Arc<str>,
    /// Unique within its shard.
    pub id: String,
    pub action: Action,
    /// Where it was read: what makes it count exactly once.
    pub origin: Origin,
    /// Counts when the source has no `@timestamp` of its own.
    pub timestamp_ms: i64,
    /// A JSON object; for [`Action::Update`] the fields that change; nothing for [`Action::Delete`].
    pub source: Bytes,
}

/// The record that a document was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

/// What happens to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Adds it; the id is known to be new, as an id made of topic, partition and offset is.
    Append,
    /// Adds it in place of one with the same id.
    Index,
    /// Adds it unless one with the same id exists.
    Create,
    /// Merges the source into that of the document with this id.
    Update { upsert: bool },
    /// Removes the document with this id.
    Delete,
}

/// Why one document cannot be indexed. Others of its batch can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error(transparent)]
    Index(#[from] NameError),
    #[error("the document is not JSON: {0}")]
    Malformed(String),
    #[error("the document is {found}, not a JSON object")]
    NotAnObject { found: &'static str },
    #[error("the document has {size_bytes} bytes; the limit is {DOCUMENT_BYTES_MAX}")]
    TooLarge { size_bytes: usize },
    #[error("the document has more than {DOCUMENT_FIELDS_MAX} values")]
    TooManyFields,
    #[error("@timestamp is {value}: neither RFC 3339 nor milliseconds since 1970 within the years 1678 to 2261")]
    Timestamp { value: String },
    #[error("the _id is {size_bytes} bytes long; 1 to {ID_BYTES_MAX} are possible")]
    Id { size_bytes: usize },
    #[error("no document with _id {id:?} in index {index:?} to update")]
    Missing { index: String, id: String },
}

/// A parsed source and its time.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) fields: Map<String, Value>,
    pub(crate) timestamp_ms: i64,
}

impl Document {
    /// Checks and parses what does not need a shard.
    pub(crate) fn parse(&self) -> Result<Parsed, DocumentError> {
        if self.id.is_empty() || self.id.len() > ID_BYTES_MAX {
            return Err(DocumentError::Id { size_bytes: self.id.len() });
        }
        if self.action == Action::Delete {
            return Ok(Parsed { fields: Map::new(), timestamp_ms: self.timestamp_ms });
        }
        parse_source(&self.source, self.timestamp_ms)
    }

    /// Grows with the offset within a partition, differs between the partitions of a topic, stays below 2^53 (what
    /// a JSON number holds exactly) for offsets below 2^43.
    pub(crate) fn seq(&self) -> i64 {
        self.origin.offset.wrapping_mul(SEQ_PARTITIONS) | (i64::from(self.origin.partition) & (SEQ_PARTITIONS - 1))
    }
}

pub(crate) fn parse_source(source: &[u8], default_timestamp_ms: i64) -> Result<Parsed, DocumentError> {
    if source.len() > DOCUMENT_BYTES_MAX {
        return Err(DocumentError::TooLarge { size_bytes: source.len() });
    }
    let value = serde_json::from_slice(source).map_err(|e| DocumentError::Malformed(e.to_string()))?;
    let Value::Object(fields) = value else {
        return Err(DocumentError::NotAnObject { found: type_name(&value) });
    };
    let timestamp_ms = match fields.get(TIMESTAMP) {
        None | Some(Value::Null) => default_timestamp_ms,
        Some(value) => timestamp_ms(value).ok_or_else(|| DocumentError::Timestamp { value: value.to_string() })?,
    };
    if timestamp_ms.abs() > TIMESTAMP_MS_MAX {
        return Err(DocumentError::Timestamp { value: timestamp_ms.to_string() });
    }
    if fields.values().map(leaf_count).sum::<usize>() > DOCUMENT_FIELDS_MAX {
        return Err(DocumentError::TooManyFields);
    }
    Ok(Parsed { fields, timestamp_ms })
}

/// The fields of a document whose source was parsed to `parsed`.
pub(crate) fn to_fields(id: &str, seq: i64, source: &[u8], mut parsed: Parsed, fields: &Fields) -> TantivyDocument {
    let mut document = TantivyDocument::default();
    document.add_date(fields.timestamp, tantivy::DateTime::from_timestamp_millis(parsed.timestamp_ms));
    document.add_text(fields.id, id);
    document.add_i64(fields.seq, seq);
    document.add_bytes(fields.source, source);
    parsed.fields.shift_remove(TIMESTAMP);
    match parsed.fields.get(MESSAGE) {
        Some(Value::String(message)) => document.add_text(fields.message, message),
        Some(Value::Object(_)) | None => {}
        Some(other) => document.add_text(fields.message, other.to_string()),
    }
    if !matches!(parsed.fields.get(MESSAGE), Some(Value::Object(_))) {
        parsed.fields.shift_remove(MESSAGE);
    }
    if !parsed.fields.is_empty() {
        document.add_field_value(fields.dynamic, &Value::Object(parsed.fields));
    }
    document
}

/// Milliseconds of an RFC 3339 text (a missing zone means UTC) or of a number.
pub(crate) fn timestamp_ms(value: &Value) -> Option<i64> {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "the fraction of a millisecond is meant to go")]
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|ms| ms as i64)),
        Value::String(text) => parse_time(text),
        _ => None,
    }
}

fn parse_time(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    if let Ok(ms) = text.parse::<i64>() {
        return Some(ms);
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc().timestamp_millis());
        }
    }
    DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").ok().map(|time| time.timestamp_millis())
}

fn leaf_count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(leaf_count).sum(),
        Value::Object(fields) => fields.values().map(leaf_count).sum(),
        _ => 1,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(source: &str) -> Result<Parsed, DocumentError> {
        parse_source(source.as_bytes(), 42)
    }

    #[test]
    fn the_sources_own_timestamp_counts_and_the_records_is_the_default() {
        for (source, ms) in [
            (r#"{"@timestamp":"2026-11-23T08:00:00.123Z"}"#, 1_795_420_800_123),
            (r#"{"@timestamp":"2026-11-23T09:00:00+01:00"}"#, 1_795_420_800_000),
            (r#"{"@timestamp":"2026-11-23T08:00:00"}"#, 1_795_420_800_000),
            (r#"{"@timestamp":1795420800000}"#, 1_795_420_800_000),
            (r#"{"@timestamp":null}"#, 42),
            ("{}", 42),
        ] {
            assert_eq!(parse(source).unwrap().timestamp_ms, ms, "{source}");
        }
    }

    #[test]
    fn what_is_no_document_says_why() {
        let error = |source: &str| parse(source).unwrap_err().to_string();
        assert!(error("{\"a\":").contains("not JSON: EOF"), "{}", error("{\"a\":"));
        assert_eq!(error("[1]"), "the document is an array, not a JSON object");
        assert!(error(r#"{"@timestamp":"yesterday"}"#).starts_with("@timestamp is \"yesterday\""));
        assert!(error(r#"{"@timestamp":9300000000000}"#).starts_with("@timestamp is 9300000000000"));
        let wide = format!("{{\"a\":[{}0]}}", "0,".repeat(DOCUMENT_FIELDS_MAX));
        assert_eq!(parse(&wide).unwrap_err(), DocumentError::TooManyFields);
    }

    #[test]
    fn tie_breakers_differ_between_partitions_and_grow_with_the_offset() {
        let seq = |partition, offset| {
            let origin = Origin { topic: "t".into(), partition, offset };
            let source = Bytes::new();
            Document { index: "i".into(), id: "x".into(), action: Action::Append, origin, timestamp_ms: 0, source }
                .seq()
        };
        assert_ne!(seq(0, 5), seq(1, 5));
        assert!(seq(1023, 5) < seq(0, 6));
        assert!(seq(0, (1 << 43) - 1) < 1 << 53);
    }
}
