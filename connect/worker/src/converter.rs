//! Converters: between the bytes of a topic and what connectors see.

use bytes::Bytes;
use serde_json::Value as Json;
use weir_connect_api::{ConfigKey, ConfigType, Payload};

/// The values of `key.converter` and `value.converter`: Weir's short names and Kafka's class names.
const NAMES: &[(&str, Converter)] = &[
    ("auto", Converter::Auto),
    ("json", Converter::Json),
    ("string", Converter::Text),
    ("bytes", Converter::Bytes),
    ("org.apache.kafka.connect.json.JsonConverter", Converter::Json),
    ("org.apache.kafka.connect.storage.StringConverter", Converter::Text),
    ("org.apache.kafka.connect.converters.ByteArrayConverter", Converter::Bytes),
];

pub(crate) const CHOICES: &[&str] = &[
    "auto",
    "json",
    "string",
    "bytes",
    "org.apache.kafka.connect.json.JsonConverter",
    "org.apache.kafka.connect.storage.StringConverter",
    "org.apache.kafka.connect.converters.ByteArrayConverter",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Converter {
    /// Reading: JSON when it looks like an object or an array, else bytes. Writing: JSON as text, bytes as they are.
    Auto,
    Json,
    /// Reading: bytes. Writing: a JSON string without its quotes.
    Text,
    Bytes,
}

pub(crate) const fn config_key(name: &'static str, doc: &'static str) -> ConfigKey {
    ConfigKey::new(name, ConfigType::String, doc).default("auto").choices(CHOICES)
}

impl Converter {
    /// The converter of that name, in any case; the key's `choices` were checked before.
    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, converter)| *converter)
    }

    /// From a topic. Never fails: JSON is only parsed by whoever asks for it.
    pub(crate) fn read(self, bytes: Option<Bytes>) -> Payload {
        match (self, bytes) {
            (_, None) => Payload::Null,
            (Self::Json, Some(bytes)) => Payload::JsonText(bytes),
            (Self::Auto, Some(bytes)) if looks_like_json(&bytes) => Payload::JsonText(bytes),
            (_, Some(bytes)) => Payload::Bytes(bytes),
        }
    }

    /// Into a topic.
    pub(crate) fn write(self, payload: &Payload) -> Option<Bytes> {
        match (self, payload) {
            (Self::Text, Payload::Json(Json::String(text))) => Some(Bytes::from(text.clone())),
            (Self::Json, Payload::Bytes(bytes)) => {
                Some(Bytes::from(Json::String(String::from_utf8_lossy(bytes).into_owned()).to_string()))
            }
            _ => payload.to_wire(),
        }
    }
}

fn looks_like_json(bytes: &[u8]) -> bool {
    matches!(bytes.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'['))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn auto_tells_objects_from_lines_of_text() {
        let read = |text: &'static str| Converter::Auto.read(Some(Bytes::from_static(text.as_bytes())));
        assert_eq!(read(" {\"a\":1}"), Payload::JsonText(Bytes::from_static(b" {\"a\":1}")));
        assert_eq!(read("10.0.0.1 - -"), Payload::Bytes(Bytes::from_static(b"10.0.0.1 - -")));
        assert_eq!(Converter::Auto.read(None), Payload::Null);
    }

    #[test]
    fn text_is_written_without_quotes_and_json_with_them() {
        let word = Payload::Json(json!("word"));
        assert_eq!(Converter::Text.write(&word).unwrap(), "word");
        assert_eq!(Converter::Auto.write(&word).unwrap(), "\"word\"");
        assert_eq!(Converter::Json.write(&Payload::Bytes(Bytes::from_static(b"word"))).unwrap(), "\"word\"");
        assert_eq!(Converter::Auto.write(&Payload::Null), None);
    }

    #[test]
    fn every_choice_has_a_converter() {
        assert!(CHOICES.iter().all(|name| Converter::named(name).is_some()));
    }
}
