//! OffsetDelete, v0.
//!
//! Deletes what a group committed for topics that none of its members reads (KIP-496).

use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use weir_types::TopicPartition;

use super::error::ErrorCodes;
use super::group_errors::{error_code, response_error, shared};
use super::{Call, Context};

pub(super) async fn handle(cx: &Context, _call: &Call, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let mut partitions = Vec::new();
    for topic in &request.topics {
        let name = shared(&topic.name.0);
        let of_topic = topic.partitions.iter();
        partitions.extend(of_topic.map(|p| TopicPartition { topic: name.clone(), partition: p.partition_index }));
    }
    let results = match cx.groups.delete_offsets(shared(&request.group_id.0), partitions).await {
        Ok(results) => results,
        Err(error) => return OffsetDeleteResponse::default().with_error_code(response_error(error).code()),
    };
    let mut results = results.iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(results.by_ref()).map(|(partition, result)| {
            OffsetDeleteResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error_code(result))
        });
        OffsetDeleteResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    OffsetDeleteResponse::default().with_topics(topics.collect())
}

impl ErrorCodes for OffsetDeleteResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        std::iter::once(self.error_code).chain(partitions.map(|partition| partition.error_code))
    }
}
