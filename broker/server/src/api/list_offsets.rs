//! ListOffsets, v1..=10.
//!
//! Timestamps below 0 name places: -1 latest, -2 earliest, -3 the record with the largest timestamp (v7), -4 earliest
//! local (v8), -5 latest tiered (v9), -6 earliest pending upload (v11 in Kafka, answered alike here).
//! v4: leader epochs. v2: isolation level. v10: a timeout for tiered lookups, of which there are none.

use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use weir_protocol::produce::TopicRef;

use super::error::{ErrorCodes, Failure, partition_failure};
use super::{Call, Context};
use crate::partition::{Partition, PartitionError};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
/// Nothing is tiered: there is no such offset.
const LATEST_TIERED: i64 = -5;

const LEADER_EPOCH_VERSION_MIN: i16 = 4;
const READ_COMMITTED: i8 = 1;

pub(super) async fn handle(cx: &Context, call: &Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let is_committed_only = request.isolation_level == READ_COMMITTED;
    let topics = request.topics.into_iter().map(|topic| {
        let found = cx.partitions.topic(&TopicRef::Name((**topic.name).into()));
        let partitions = topic.partitions.iter().map(|wanted| {
            let partition = found.as_ref().and_then(|found| found.partition(wanted.partition_index));
            let outcome = match partition {
                None => Err(Failure::unknown_topic()),
                Some(partition) => {
                    find(partition, wanted, is_committed_only).map_err(|error| partition_failure(&error))
                }
            };
            answer(call, wanted.partition_index, outcome)
        });
        ListOffsetsTopicResponse::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

/// `None`: there is no such record.
struct Place {
    timestamp: i64,
    offset: i64,
    leader_epoch: Option<i32>,
}

fn find(
    partition: &Partition,
    wanted: &ListOffsetsPartition,
    is_committed_only: bool,
) -> Result<Option<Place>, PartitionError> {
    let leader_epoch = partition.check_leader_epoch(wanted.current_leader_epoch)?;
    let offsets = partition.offsets()?;
    let at = |offset, leader_epoch| Ok(Some(Place { timestamp: -1, offset, leader_epoch }));
    let found = match wanted.timestamp {
        LATEST if is_committed_only => return at(offsets.last_stable_offset, Some(leader_epoch)),
        LATEST => return at(offsets.high_watermark, Some(leader_epoch)),
        EARLIEST | EARLIEST_LOCAL => {
            return at(offsets.log_start_offset, partition.epoch_at(offsets.log_start_offset));
        }
        LATEST_TIERED => return Ok(None),
        MAX_TIMESTAMP => partition.offset_of_max_timestamp()?,
        timestamp => partition.offset_for_timestamp(timestamp)?,
    };
    Ok(found.map(|found| Place {
        timestamp: found.timestamp,
        offset: found.offset,
        leader_epoch: partition.epoch_at(found.offset),
    }))
}

fn answer(call: &Call, index: i32, outcome: Result<Option<Place>, Failure>) -> ListOffsetsPartitionResponse {
    let none = ListOffsetsPartitionResponse::default().with_partition_index(index).with_timestamp(-1).with_offset(-1);
    match outcome {
        Ok(None) => none,
        Ok(Some(place)) => {
            let found = none.with_timestamp(place.timestamp).with_offset(place.offset);
            match place.leader_epoch.filter(|_| call.version >= LEADER_EPOCH_VERSION_MIN) {
                Some(leader_epoch) => found.with_leader_epoch(leader_epoch),
                None => found,
            }
        }
        Err(failure) => none.with_error_code(failure.code()),
    }
}

impl ErrorCodes for ListOffsetsResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code)
    }
}
