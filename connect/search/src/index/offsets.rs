//! `{connector: {topic: {partition: next_offset}}}`: how far each sink's documents are in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `{topic: {partition: next_offset}}` of one sink: exclusive ends of what was taken.
pub type TopicOffsets = BTreeMap<String, BTreeMap<i32, i64>>;

/// The offsets of all sinks that wrote into one shard. What a commit's payload holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SinkOffsets(BTreeMap<String, TopicOffsets>);

impl SinkOffsets {
    pub(crate) fn of(&self, connector: &str) -> Option<&TopicOffsets> {
        self.0.get(connector)
    }

    pub(crate) fn next_offset(&self, connector: &str, topic: &str, partition: i32) -> Option<i64> {
        self.0.get(connector)?.get(topic)?.get(&partition).copied()
    }

    pub(crate) fn set(&mut self, connector: &str, topic: &str, partition: i32, next_offset: i64) {
        // The usual case first, without allocating the keys again.
        if let Some(slot) =
            self.0.get_mut(connector).and_then(|topics| topics.get_mut(topic)).and_then(|all| all.get_mut(&partition))
        {
            *slot = next_offset;
            return;
        }
        let topics = self.0.entry(connector.to_owned()).or_default();
        topics.entry(topic.to_owned()).or_default().insert(partition, next_offset);
    }

    /// Forgets a partition.
    pub(crate) fn remove(&mut self, connector: &str, topic: &str, partition: i32) {
        if let Some(partitions) = self.0.get_mut(connector).and_then(|topics| topics.get_mut(topic)) {
            partitions.remove(&partition);
        }
    }

    pub(crate) fn to_payload(&self) -> String {
        serde_json::json!({ "offsets": self }).to_string()
    }

    /// `None` when the payload is not one that this version wrote.
    pub(crate) fn from_payload(payload: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Payload {
            offsets: SinkOffsets,
        }
        serde_json::from_str::<Payload>(payload).ok().map(|payload| payload.offsets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_as_it_was_written() {
        let mut offsets = SinkOffsets::default();
        offsets.set("es", "logs", 0, 7);
        offsets.set("es", "logs", 3, 9);
        offsets.set("es", "logs", 0, 8);
        assert_eq!(offsets.to_payload(), r#"{"offsets":{"es":{"logs":{"0":8,"3":9}}}}"#);
        assert_eq!(SinkOffsets::from_payload(&offsets.to_payload()), Some(offsets));
        assert_eq!(SinkOffsets::from_payload("gibberish"), None);
    }
}
