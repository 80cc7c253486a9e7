//! OffsetForLeaderEpoch, v2..=4 (KIP-320): where an epoch ended, so that a reader can see whether its log diverged.

use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
use weir_protocol::produce::TopicRef;

use super::error::{ErrorCodes, Failure, partition_failure};
use super::{Call, Context};
use crate::partition::{Partition, PartitionError};

pub(super) async fn handle(
    cx: &Context,
    _call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let found = cx.partitions.topic(&TopicRef::Name((**topic.topic).into()));
        let partitions = topic.partitions.iter().map(|wanted| {
            let partition = found.as_ref().and_then(|found| found.partition(wanted.partition));
            let end = partition
                .ok_or_else(Failure::unknown_topic)
                .and_then(|partition| find(partition, wanted).map_err(|error| partition_failure(&error)));
            let answer = EpochEndOffset::default().with_partition(wanted.partition);
            match end {
                Ok((leader_epoch, end_offset)) => answer.with_leader_epoch(leader_epoch).with_end_offset(end_offset),
                Err(failure) => answer.with_leader_epoch(-1).with_end_offset(-1).with_error_code(failure.code()),
            }
        });
        OffsetForLeaderTopicResult::default().with_partitions(partitions.collect()).with_topic(topic.topic)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}

fn find(partition: &Partition, wanted: &OffsetForLeaderPartition) -> Result<(i32, i64), PartitionError> {
    partition.check_leader_epoch(wanted.current_leader_epoch)?;
    partition.epoch_end_offset(wanted.leader_epoch)
}

impl ErrorCodes for OffsetForLeaderEpochResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code)
    }
}
