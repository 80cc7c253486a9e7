//! DescribeTopicPartitions, v0 (KIP-966): topics by name, in pages.

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use weir_control::metadata::TopicImage;

use super::convert::{OPERATIONS_NOT_ASKED, broker_ids, topic_name, uuid};
use super::error::{ErrorCodes, Failure};
use super::metadata::is_internal;
use super::{Call, Context};

pub(super) async fn handle(
    cx: &Context,
    _call: &Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = cx.image();
    let mut names: Vec<String> = if request.topics.is_empty() {
        image.topics().map(|topic| topic.name.to_string()).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.to_string()).collect()
    };
    names.sort();
    names.dedup();
    let (first_name, first_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.to_string(), cursor.partition_index.max(0) as usize),
        None => (String::new(), 0),
    };
    let limit = request.response_partition_limit.max(1) as usize;
    let mut partitions_left = limit.min(cx.settings().described_partitions_max);
    let mut topics = Vec::new();
    let mut next_cursor = None;
    for name in names.into_iter().filter(|name| *name >= first_name) {
        if partitions_left == 0 {
            next_cursor = Some(Cursor::default().with_topic_name(topic_name(&name)).with_partition_index(0));
            break;
        }
        let Some(topic) = image.topic(&name) else {
            topics.push(unknown(&name));
            continue;
        };
        let start = if name == first_name { first_partition } else { 0 };
        let end = topic.partitions.len().min(start + partitions_left);
        topics.push(describe(topic, start, end));
        partitions_left -= end.saturating_sub(start);
        if end < topic.partitions.len() {
            next_cursor = Some(Cursor::default().with_topic_name(topic_name(&name)).with_partition_index(end as i32));
            break;
        }
    }
    DescribeTopicPartitionsResponse::default().with_topics(topics).with_next_cursor(next_cursor)
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name(name)))
        .with_error_code(Failure::unknown_topic().code())
        .with_topic_authorized_operations(OPERATIONS_NOT_ASKED)
}

fn describe(topic: &TopicImage, start: usize, end: usize) -> DescribeTopicPartitionsResponseTopic {
    let partitions = topic.partitions.iter().enumerate().take(end).skip(start).map(|(index, partition)| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(index as i32)
            .with_leader_id(BrokerId(partition.leader))
            .with_leader_epoch(partition.leader_epoch)
            .with_replica_nodes(broker_ids(&partition.replicas))
            .with_isr_nodes(broker_ids(&partition.isr))
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_topic_id(uuid(topic.id))
        .with_is_internal(is_internal(&topic.name))
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(OPERATIONS_NOT_ASKED)
}

impl ErrorCodes for DescribeTopicPartitionsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.topics.iter().map(|topic| topic.error_code)
    }
}
