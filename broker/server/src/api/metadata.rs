//! Metadata, v0..=13.
//!
//! v0: an empty list means all topics; v1: null does, and empty means none. v4: auto-creation can be declined.
//! v10: topic ids in the answer; v12: in the request (KIP-516). v13: a top-level error code.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};
use weir_control::metadata::TopicImage;

use super::auto_create::find_or_create;
use super::convert::{OPERATIONS_NOT_ASKED, broker_ids, text, topic_id, topic_name, uuid};
use super::error::{ErrorCodes, Failure};
use super::{Call, Context};

/// First versions of fields that the codec refuses to drop.
const TOPIC_ID_VERSION_MIN: i16 = 10;

pub(super) async fn handle(cx: &Context, call: &Call, request: MetadataRequest) -> MetadataResponse {
    let wants_all = match &request.topics {
        None => true,
        Some(topics) => call.version == 0 && topics.is_empty(),
    };
    let topics = if wants_all {
        cx.image().topics().map(|topic| describe(call, topic)).collect()
    } else {
        let mut described = Vec::new();
        for topic in request.topics.iter().flatten() {
            described.push(find(cx, call, topic, request.allow_auto_topic_creation).await);
        }
        described
    };
    let brokers = cx.brokers(&call.peer.listener).into_iter().map(|broker| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(broker.node_id))
            .with_host(text(&broker.host))
            .with_port(i32::from(broker.port))
            .with_rack(broker.rack.as_deref().map(text))
    });
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text(&cx.cluster_id)))
        .with_controller_id(BrokerId(cx.node_id))
        .with_topics(topics)
}

async fn find(cx: &Context, call: &Call, topic: &MetadataRequestTopic, may_create: bool) -> MetadataResponseTopic {
    let found = match &topic.name {
        Some(name) => find_or_create(cx, name, may_create).await,
        None => cx.image().topic_by_id(topic_id(topic.topic_id)).cloned().ok_or_else(Failure::unknown_topic_id),
    };
    match found {
        Ok(found) => describe(call, &found),
        Err(failure) => {
            let mut answer = MetadataResponseTopic::default()
                .with_error_code(failure.code())
                .with_topic_authorized_operations(OPERATIONS_NOT_ASKED);
            answer.name = topic.name.clone();
            if answer.name.is_none() {
                answer.topic_id = topic.topic_id;
                // Only v12 and later can leave the name out.
                answer.name = (call.version < 12).then(Default::default);
            }
            answer
        }
    }
}

fn describe(call: &Call, topic: &Arc<TopicImage>) -> MetadataResponseTopic {
    let partitions = topic.partitions.iter().zip(0..).map(|(partition, index)| {
        MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(BrokerId(partition.leader))
            .with_leader_epoch(partition.leader_epoch)
            .with_replica_nodes(broker_ids(&partition.replicas))
            .with_isr_nodes(broker_ids(&partition.isr))
            .with_error_code(if partition.leader < 0 { ResponseError::LeaderNotAvailable.code() } else { 0 })
    });
    let mut answer = MetadataResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_is_internal(is_internal(&topic.name))
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(OPERATIONS_NOT_ASKED);
    if call.version >= TOPIC_ID_VERSION_MIN {
        answer.topic_id = uuid(topic.id);
    }
    answer
}

/// Topics that the broker writes itself.
pub(super) fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

impl ErrorCodes for MetadataResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let topics = self.topics.iter().flat_map(|topic| {
            std::iter::once(topic.error_code).chain(topic.partitions.iter().map(|partition| partition.error_code))
        });
        std::iter::once(self.error_code).chain(topics)
    }
}
