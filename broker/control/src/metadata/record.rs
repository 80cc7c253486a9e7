//! What is written to the metadata log. Kafka's KRaft records, one variant each; fields are only ever added.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_types::TopicId;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MetadataRecord {
    Topic {
        name: Arc<str>,
        #[serde(with = "topic_id_text")]
        topic_id: TopicId,
    },
    Partition {
        #[serde(with = "topic_id_text")]
        topic_id: TopicId,
        partition: i32,
        replicas: Vec<i32>,
        isr: Vec<i32>,
        leader: i32,
        leader_epoch: i32,
    },
    RemoveTopic {
        #[serde(with = "topic_id_text")]
        topic_id: TopicId,
    },
    /// `value: None` removes the setting.
    Config { resource: ConfigResource, key: String, value: Option<String> },
    /// The broker begins to lead what it led before its stop or crash, each partition under a new leader epoch: what a
    /// reader saw and a crash took is not taken for what was written in its place.
    BrokerStarted { broker: i32 },
    /// Producer ids below this one are given out.
    ProducerIds { next_producer_id: i64 },
}

/// What a dynamic setting belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum ConfigResource {
    Topic(Arc<str>),
    Broker(i32),
    /// The default of all brokers.
    BrokerDefault,
    Group(Arc<str>),
}

/// Topic ids in their text form.
mod topic_id_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use weir_types::TopicId;

    pub(super) fn serialize<S: Serializer>(id: &TopicId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TopicId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
