//! Between the codec's types and ours.

use std::sync::Arc;

use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;
use weir_control::metadata::{MetadataImage, TopicImage};
use weir_protocol::produce::TopicRef;
use weir_types::TopicId;

/// What Kafka answers for `authorized_operations` when they were not asked for.
pub(super) const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

pub(super) fn uuid(id: TopicId) -> Uuid {
    Uuid::from_bytes(id.0)
}

pub(super) fn topic_id(id: Uuid) -> TopicId {
    TopicId(id.into_bytes())
}

pub(super) fn broker_ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

/// The topic that a request means, by name or by id.
pub(super) fn find_topic<'a>(image: &'a MetadataImage, topic: &TopicRef) -> Option<&'a Arc<TopicImage>> {
    match topic {
        TopicRef::Name(name) => image.topic(name),
        TopicRef::Id(id) => image.topic_by_id(TopicId(*id)),
    }
}
