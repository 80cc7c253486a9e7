//! `{connector: {topic: {partition: next_offset}}}`: how far each sink's documents are in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `{topic: {partition: next_offset}}` of one sink: exclusive ends of what was taken.
pub type TopicOffsets = BTreeMap<String, BTreeMap<i32, i64>>;

/// The offsets of all sinks that wrote into one shard. What a commit's payload holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SinkOffsets {
    offsets: BySink,
    /// Where offsets were set back: documents below these are in the shard already and must be replaced, not added.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    replays: BySink,
}

type BySink = BTreeMap<String, TopicOffsets>;

impl SinkOffsets {
    pub(crate) fn of(&self, connector: &str) -> Option<&TopicOffsets> {
        self.offsets.get(connector)
    }

    pub(crate) fn next_offset(&self, connector: &str, topic: &str, partition: i32) -> Option<i64> {
        get(&self.offsets, connector, topic, partition)
    }

    /// Whether a document of this offset may be in the shard although the offset was not taken yet.
    pub(crate) fn is_replayed(&self, connector: &str, topic: &str, partition: i32, offset: i64) -> bool {
        get(&self.replays, connector, topic, partition).is_some_and(|below| offset < below)
    }

    /// Moves a partition forward.
    pub(crate) fn advance(&mut self, connector: &str, topic: &str, partition: i32, next_offset: i64) {
        set(&mut self.offsets, connector, topic, partition, next_offset);
    }

    /// Sets a partition to any offset, or forgets it; what was taken beyond is replaced when it comes again.
    pub(crate) fn reset(&mut self, connector: &str, topic: &str, partition: i32, next_offset: Option<i64>) {
        let taken = self.next_offset(connector, topic, partition);
        let replayed = get(&self.replays, connector, topic, partition);
        if let Some(below) = taken.max(replayed) {
            set(&mut self.replays, connector, topic, partition, below);
        }
        match next_offset {
            Some(next_offset) => set(&mut self.offsets, connector, topic, partition, next_offset),
            None => {
                if let Some(partitions) = self.offsets.get_mut(connector).and_then(|topics| topics.get_mut(topic)) {
                    partitions.remove(&partition);
                }
            }
        }
    }

    pub(crate) fn to_payload(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// `None` when the payload is not one that this version wrote.
    pub(crate) fn from_payload(payload: &str) -> Option<Self> {
        serde_json::from_str(payload).ok()
    }
}

fn get(sinks: &BySink, connector: &str, topic: &str, partition: i32) -> Option<i64> {
    sinks.get(connector)?.get(topic)?.get(&partition).copied()
}

fn set(sinks: &mut BySink, connector: &str, topic: &str, partition: i32, offset: i64) {
    // The usual case first, without allocating the keys again.
    let known = sinks.get_mut(connector).and_then(|topics| topics.get_mut(topic));
    if let Some(slot) = known.and_then(|partitions| partitions.get_mut(&partition)) {
        *slot = offset;
        return;
    }
    let topics = sinks.entry(connector.to_owned()).or_default();
    topics.entry(topic.to_owned()).or_default().insert(partition, offset);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_as_it_was_written() {
        let mut offsets = SinkOffsets::default();
        offsets.advance("es", "logs", 0, 7);
        offsets.advance("es", "logs", 3, 9);
        offsets.advance("es", "logs", 0, 8);
        assert_eq!(offsets.to_payload(), r#"{"offsets":{"es":{"logs":{"0":8,"3":9}}}}"#);
        offsets.reset("es", "logs", 0, Some(2));
        assert_eq!(SinkOffsets::from_payload(&offsets.to_payload()), Some(offsets));
        assert_eq!(SinkOffsets::from_payload("gibberish"), None);
    }

    #[test]
    fn what_was_taken_before_a_reset_is_known_to_be_there() {
        let mut offsets = SinkOffsets::default();
        offsets.advance("es", "logs", 0, 8);
        assert!(!offsets.is_replayed("es", "logs", 0, 7));
        offsets.reset("es", "logs", 0, None);
        offsets.reset("es", "logs", 0, Some(3));
        assert_eq!(offsets.next_offset("es", "logs", 0), Some(3));
        assert!(offsets.is_replayed("es", "logs", 0, 7) && !offsets.is_replayed("es", "logs", 0, 8));
    }
}
