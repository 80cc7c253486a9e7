//! A record to a document: its index, its id, its JSON.
//!
//! A value that is a JSON object is the document; anything else becomes its `message`. A document without an
//! `@timestamp` gets the record's time.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use weir_connect_api::{ConnectError, Header, Payload, Record, SinkRecord};
use weir_search::{Action, BulkItem, Document, Origin};

use super::index::IndexPattern;

const TIMESTAMP: &str = "@timestamp";
const MESSAGE: &str = "message";
/// Headers of records that were made of an item of a bulk request: they say what the configuration says otherwise.
const INDEX_HEADER: &str = "_index";
const ID_HEADER: &str = "_id";
const ACTION_HEADER: &str = "_action";

/// The record that carries an item of a bulk request through a topic to this sink.
pub fn record_of(item: &BulkItem) -> Record {
    let action = match item.action {
        Action::Append | Action::Create => "create",
        Action::Index => "index",
        Action::Update { upsert: false } => "update",
        Action::Update { upsert: true } => "upsert",
        Action::Delete => "delete",
    };
    let header =
        |key: &str, value: &str| Header { key: key.into(), value: Some(Bytes::copy_from_slice(value.as_bytes())) };
    Record {
        key: Payload::Bytes(Bytes::copy_from_slice(item.id.as_bytes())),
        value: if item.action == Action::Delete { Payload::Null } else { Payload::JsonText(item.source.clone()) },
        headers: vec![header(INDEX_HEADER, &item.index), header(ID_HEADER, &item.id), header(ACTION_HEADER, action)],
        ..Record::default()
    }
}

/// Makes documents of the records of one connector.
pub(super) struct Documents {
    index: IndexPattern,
    is_keyed: bool,
}

impl Documents {
    pub(super) fn new(index: IndexPattern, is_keyed: bool) -> Self {
        Self { index, is_keyed }
    }

    /// The record's document. The error is about this record alone.
    pub(super) fn document(&mut self, record: &SinkRecord) -> Result<Document, ConnectError> {
        let SinkRecord { origin, offset, record: content, .. } = record;
        let timestamp_ms = content.timestamp_ms.unwrap_or_else(|| Utc::now().timestamp_millis());
        let origin = Origin { topic: Arc::clone(&origin.topic), partition: origin.partition, offset: *offset };
        let document = |index, id, action, source| Document { index, id, action, origin, timestamp_ms, source };
        if let Some((index, id, action)) = of_bulk(&content.headers) {
            let source = match action {
                Action::Delete => Bytes::new(),
                // A part of a document: nothing is added to it.
                Action::Update { .. } => content.value.to_wire().unwrap_or_default(),
                _ => source(&content.value, timestamp_ms)?,
            };
            return Ok(document(index, id, action, source));
        }
        let topic = content.topic.as_ref().unwrap_or(&record.origin.topic);
        let index = self.index.name(topic, timestamp_ms);
        if !self.is_keyed {
            let id = format!("{}-{}-{offset}", record.origin.topic, record.origin.partition);
            return Ok(document(index, id, Action::Append, source(&content.value, timestamp_ms)?));
        }
        let id = key_id(&content.key)?;
        if content.value.is_null() {
            return Ok(document(index, id, Action::Delete, Bytes::new()));
        }
        Ok(document(index, id, Action::Index, source(&content.value, timestamp_ms)?))
    }
}

fn of_bulk(headers: &[Header]) -> Option<(Arc<str>, String, Action)> {
    if headers.is_empty() {
        return None;
    }
    let header = |key: &str| {
        let header = headers.iter().find(|header| &*header.key == key)?;
        std::str::from_utf8(header.value.as_ref()?).ok()
    };
    let action = match header(ACTION_HEADER)? {
        "create" => Action::Create,
        "index" => Action::Index,
        "update" => Action::Update { upsert: false },
        "upsert" => Action::Update { upsert: true },
        "delete" => Action::Delete,
        _ => return None,
    };
    Some((header(INDEX_HEADER)?.into(), header(ID_HEADER)?.to_owned(), action))
}

/// The id of a keyed document: the key's text, without quotes if it is a JSON string.
fn key_id(key: &Payload) -> Result<String, ConnectError> {
    let parsed = match key {
        Payload::Null | Payload::Json(Value::Null) => None,
        Payload::Bytes(bytes) => Some(Value::String(
            std::str::from_utf8(bytes)
                .map_err(|e| ConnectError::record(format!("the key is not UTF-8 at byte {}", e.valid_up_to())))?
                .to_owned(),
        )),
        Payload::JsonText(text) => {
            Some(serde_json::from_slice(text).map_err(|e| ConnectError::record(format!("the key is not JSON: {e}")))?)
        }
        Payload::Json(json) => Some(json.clone()),
    };
    match parsed {
        None | Some(Value::Null) => {
            Err(ConnectError::record("the record has no key, which is the document's id: set key.ignore=true"))
        }
        Some(Value::String(id)) => Ok(id),
        Some(other) => Ok(other.to_string()),
    }
}

fn source(value: &Payload, timestamp_ms: i64) -> Result<Bytes, ConnectError> {
    let not_json = |e| ConnectError::record(format!("the value is not JSON: {e}"));
    match value {
        Payload::Null => Err(ConnectError::record("the record has no value (a tombstone), and key.ignore is true")),
        Payload::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes)
                .map_err(|e| ConnectError::record(format!("the value is not UTF-8 at byte {}", e.valid_up_to())))?;
            Ok(message(&Value::from(text), timestamp_ms))
        }
        Payload::JsonText(text) if text.trim_ascii_start().first() == Some(&b'{') => {
            let has_timestamp = check_object(text).map_err(not_json)?;
            // One line per document is how bulk requests tell documents apart.
            if text.contains(&b'\n') || text.contains(&b'\r') {
                let parsed: Value = serde_json::from_slice(text).map_err(not_json)?;
                return Ok(stamped(parsed.to_string().as_bytes(), has_timestamp, timestamp_ms));
            }
            Ok(if has_timestamp { text.clone() } else { stamped(text.trim_ascii(), false, timestamp_ms) })
        }
        Payload::JsonText(text) => Ok(message(&serde_json::from_slice(text).map_err(not_json)?, timestamp_ms)),
        Payload::Json(Value::Object(object)) => {
            let has_timestamp = object.contains_key(TIMESTAMP);
            Ok(stamped(value.to_wire().unwrap_or_default().as_ref(), has_timestamp, timestamp_ms))
        }
        Payload::Json(json) => Ok(message(json, timestamp_ms)),
    }
}

fn message(text: &Value, timestamp_ms: i64) -> Bytes {
    let text = if text.is_string() { text.to_string() } else { Value::from(text.to_string()).to_string() };
    stamped(format!("{{\"{MESSAGE}\":{text}}}").as_bytes(), false, timestamp_ms)
}

/// The object (no blanks around it) with the record's time in front, unless it has a time.
fn stamped(object: &[u8], has_timestamp: bool, timestamp_ms: i64) -> Bytes {
    if has_timestamp {
        return Bytes::copy_from_slice(object);
    }
    let time = DateTime::from_timestamp_millis(timestamp_ms).unwrap_or_default();
    let time = time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let fields = object[1..].trim_ascii_start();
    let comma = if fields.first() == Some(&b'}') { "" } else { "," };
    let mut stamped = Vec::with_capacity(object.len() + 48);
    stamped.extend_from_slice(format!("{{\"{TIMESTAMP}\":\"{time}\"{comma}").as_bytes());
    stamped.extend_from_slice(fields);
    stamped.into()
}

/// Checks that the text is one JSON object; `true` if that has an `@timestamp`.
fn check_object(text: &[u8]) -> Result<bool, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let has_timestamp = HasTimestamp.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(has_timestamp)
}

struct HasTimestamp;

impl<'de> DeserializeSeed<'de> for HasTimestamp {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HasTimestamp {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut found = false;
        while let Some(is_timestamp) = map.next_key_seed(IsTimestamp)? {
            found |= is_timestamp;
            map.next_value::<IgnoredAny>()?;
        }
        Ok(found)
    }
}

struct IsTimestamp;

impl<'de> DeserializeSeed<'de> for IsTimestamp {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsTimestamp {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == TIMESTAMP)
    }
}

#[cfg(test)]
mod tests {
    use weir_connect_api::TopicPartition;

    use super::*;

    const AT: i64 = 1_795_420_800_123;

    fn record(key: Payload, value: Payload) -> SinkRecord {
        let record = Record { key, value, timestamp_ms: Some(AT), ..Record::default() };
        SinkRecord { origin: TopicPartition::new("Logs", 2), offset: 7, record, original: None }
    }

    fn text(text: &str) -> Payload {
        Payload::JsonText(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn documents(is_keyed: bool) -> Documents {
        Documents::new(IndexPattern::new("${topic}-%Y.%m.%d").unwrap(), is_keyed)
    }

    fn source_of(value: Payload) -> Result<String, String> {
        let document = documents(false).document(&record(Payload::Null, value)).map_err(|e| e.message)?;
        Ok(String::from_utf8(document.source.to_vec()).unwrap())
    }

    #[test]
    fn a_record_is_a_document_with_its_place_as_id() {
        let document = documents(false).document(&record(Payload::Null, text(r#"{"a":1}"#))).unwrap();
        assert_eq!((&*document.index, &*document.id), ("logs-2026.11.23", "Logs-2-7"));
        assert_eq!(document.action, Action::Append);
        assert_eq!(document.timestamp_ms, AT);
    }

    #[test]
    fn the_records_time_is_added_unless_the_document_has_one() {
        let stamp = r#""@timestamp":"2026-11-23T08:00:00.123Z""#;
        for (value, expected) in [
            (text(r#"{"a":1}"#), format!(r#"{{{stamp},"a":1}}"#)),
            (text(" { } "), format!("{{{stamp}}}")),
            (text(r#"{"b":{"@timestamp":1}}"#), format!(r#"{{{stamp},"b":{{"@timestamp":1}}}}"#)),
            (text("{\"a\":\n1}"), format!(r#"{{{stamp},"a":1}}"#)),
            (text(r#"{"a":1,"@timestamp":"x"}"#), r#"{"a":1,"@timestamp":"x"}"#.to_owned()),
            (text(r#"{"\u0040timestamp":5}"#), r#"{"\u0040timestamp":5}"#.to_owned()),
            (Payload::Json(serde_json::json!({"a": 1})), format!(r#"{{{stamp},"a":1}}"#)),
            (Payload::Bytes("a \"line\"".into()), format!(r#"{{{stamp},"message":"a \"line\""}}"#)),
            (text("\"quoted\""), format!(r#"{{{stamp},"message":"quoted"}}"#)),
            (text("[1, 2]"), format!(r#"{{{stamp},"message":"[1,2]"}}"#)),
        ] {
            assert_eq!(source_of(value.clone()), Ok(expected), "{value:?}");
        }
    }

    #[test]
    fn what_is_no_document_says_why() {
        let error = |value| source_of(value).unwrap_err();
        assert!(error(text(r#"{"a":"#)).starts_with("the value is not JSON"));
        assert!(error(text(r#"{"a":1} x"#)).starts_with("the value is not JSON"));
        assert!(error(Payload::Bytes(Bytes::from_static(b"\xff"))).contains("not UTF-8 at byte 0"));
        assert!(error(Payload::Null).contains("tombstone"));
    }

    #[test]
    fn a_key_is_the_id_where_keys_count_and_no_value_deletes() {
        let document = |key, value| documents(true).document(&record(key, value));
        let kept = document(text("\"user-1\""), text("{}")).unwrap();
        assert_eq!((&*kept.id, kept.action), ("user-1", Action::Index));
        assert_eq!(document(text(r#"{"id": 1}"#), text("{}")).unwrap().id, r#"{"id":1}"#);
        assert_eq!(document(Payload::Bytes("x".into()), Payload::Null).unwrap().action, Action::Delete);
        assert!(document(Payload::Null, text("{}")).unwrap_err().message.contains("no key"));
    }

    #[test]
    fn an_item_of_a_bulk_request_survives_its_way_through_a_topic() {
        for action in [Action::Index, Action::Create, Action::Update { upsert: true }, Action::Delete] {
            let source = if action == Action::Delete { "" } else { r#"{"@timestamp":1}"# };
            let item = BulkItem { index: "i".to_owned(), id: "x".to_owned(), action, source: source.into() };
            let sent = SinkRecord { record: record_of(&item), ..record(Payload::Null, Payload::Null) };
            let document = documents(false).document(&sent).unwrap();
            assert_eq!((&*document.index, &*document.id, document.action), ("i", "x", action));
            assert_eq!(document.source, item.source);
        }
    }
}
