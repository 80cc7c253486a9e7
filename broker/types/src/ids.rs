//! Names of things: topic ids and partitions, spelled as Kafka spells them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The id of a topic: 16 bytes, text form url-safe base64 without padding (22 characters), as Kafka's `Uuid`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TopicId(pub [u8; 16]);

/// A text that is no topic id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a topic id: expected 22 characters of url-safe base64")]
pub struct TopicIdError(String);

impl TopicId {
    /// All zero: "no id" on the wire.
    pub const ZERO: TopicId = TopicId([0; 16]);

    /// A new random id. Never zero, never Kafka's reserved one, and its text never starts with `-`, which command lines
    /// would take for an option.
    pub fn random() -> TopicId {
        loop {
            let id = TopicId(*uuid::Uuid::new_v4().as_bytes());
            if !id.to_string().starts_with('-') {
                return id;
            }
        }
    }

    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

impl FromStr for TopicId {
    type Err = TopicIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TopicIdError(text.to_owned()))?;
        bytes.try_into().map(TopicId).map_err(|_| TopicIdError(text.to_owned()))
    }
}

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

    /// Takes `orders-0` apart, at the last dash: topic names may hold dashes too. `None` if it is no such name.
    pub fn parse_folder_name(name: &str) -> Option<Self> {
        let (topic, partition) = name.rsplit_once('-')?;
        if topic.is_empty() || partition.is_empty() || !partition.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self::new(topic, partition.parse().ok()?))
    }
}

impl fmt::Display for TopicPartition {
    /// `orders-0`, as Kafka's logs and folders spell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_id_survives_its_text_form() {
        let id = TopicId([0xfb, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        assert_eq!(id.to_string(), "-_8BAgMEBQYHCAkKCwwNDg");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("too-short".parse::<TopicId>().is_err());
        assert!("not base64 at all !!!!".parse::<TopicId>().is_err());
    }

    #[test]
    fn random_topic_ids_differ_and_never_look_like_an_option() {
        let ids: std::collections::HashSet<_> = (0..500).map(|_| TopicId::random()).collect();
        assert_eq!(ids.len(), 500);
        assert!(ids.iter().all(|id| !id.to_string().starts_with('-') && !id.is_zero()));
    }

    #[test]
    fn a_folder_name_is_taken_apart_at_its_last_dash() {
        assert_eq!(TopicPartition::parse_folder_name("a-b-12"), Some(TopicPartition::new("a-b", 12)));
        for not in ["orders", "orders-", "-1", "orders-x", "orders-+1", "orders-99999999999", "o-1.uuid-delete"] {
            assert_eq!(TopicPartition::parse_folder_name(not), None, "{not}");
        }
    }
}
