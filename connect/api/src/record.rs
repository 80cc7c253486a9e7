//! Records as connectors see them: a key, a value and headers, JSON parsed only when somebody asks.
//!
//! Never holds a schema: values are bytes or JSON.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

/// A topic name and a partition index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl std::fmt::Display for TopicPartition {
    /// `orders-0`, as Kafka's logs and folders spell it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A key or a value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Payload {
    /// Kafka's null: no key, or a tombstone.
    #[default]
    Null,
    /// Opaque bytes; a line of a text file is this too.
    Bytes(Bytes),
    /// Bytes that the converter says are JSON, not parsed yet. May turn out to be malformed.
    JsonText(Bytes),
    /// Parsed JSON.
    Json(Json),
}

/// Why a payload could not be read as JSON.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    #[error("the value is not JSON: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the value is not UTF-8 at byte {0}")]
    NotUtf8(usize),
}

impl Payload {
    /// Parses [`Payload::JsonText`] in place and gives the JSON; bytes become a JSON string, null stays null.
    pub fn json_mut(&mut self) -> Result<&mut Json, PayloadError> {
        let parsed = match self {
            Self::Json(_) => None,
            Self::Null => Some(Json::Null),
            Self::JsonText(text) => Some(serde_json::from_slice(text)?),
            Self::Bytes(bytes) => Some(Json::String(utf8(bytes)?.to_owned())),
        };
        if let Some(json) = parsed {
            *self = Self::Json(json);
        }
        match self {
            Self::Json(json) => Ok(json),
            _ => unreachable!("the payload was parsed above"),
        }
    }

    /// The JSON by value; see [`Payload::json_mut`].
    pub fn into_json(mut self) -> Result<Json, PayloadError> {
        self.json_mut()?;
        match self {
            Self::Json(json) => Ok(json),
            _ => unreachable!("the payload was parsed above"),
        }
    }

    /// What goes on the wire: `None` is Kafka's null. A JSON string at the top level is written without quotes only
    /// by the string converter, so here it keeps them.
    pub fn to_wire(&self) -> Option<Bytes> {
        match self {
            Self::Null => None,
            Self::Bytes(bytes) | Self::JsonText(bytes) => Some(bytes.clone()),
            Self::Json(json) => Some(Bytes::from(json.to_string())),
        }
    }

    /// The bytes as they came; 0 for what was parsed or made here.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) | Self::JsonText(bytes) => bytes.len(),
            Self::Null | Self::Json(_) => 0,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::Json(Json::Null))
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, PayloadError> {
    std::str::from_utf8(bytes).map_err(|e| PayloadError::NotUtf8(e.valid_up_to()))
}

/// A record header. A `None` value is Kafka's null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub key: Arc<str>,
    pub value: Option<Bytes>,
}

/// A record on its way into or out of a topic.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub topic: Option<Arc<str>>,
    /// `None` lets the producer's partitioner choose.
    pub partition: Option<i32>,
    pub key: Payload,
    pub value: Payload,
    /// Milliseconds since 1970; `None` means "when it is produced".
    pub timestamp_ms: Option<i64>,
    pub headers: Vec<Header>,
}
