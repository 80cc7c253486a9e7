//! OffsetCommit, v2..=9.
//!
//! v2..=4: the client says how long the offset lives; later `offsets.retention.minutes` does. v6: leader epoch.
//! v7: group instance id (KIP-345). v8: flexible. v9: as v8; the codes of KIP-848 don't occur.
//! Generation -1 without a member id: a client or tool without group management.
//! The answer leaves when the offsets are durable.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use weir_control::groups::{Commit, CommitPartition, CommittedOffset};
use weir_types::TopicPartition;

use super::error::ErrorCodes;
use super::group_errors::{error_code, shared, shared_option};
use super::{Call, Context};
use crate::clock::now_ms;

/// The last version in which -1 as retention time means the broker's default and anything else a time.
const RETENTION_TIME_VERSION_MAX: i16 = 4;

pub(super) async fn handle(cx: &Context, call: &Call, request: OffsetCommitRequest) -> OffsetCommitResponse {
    let now_ms = now_ms();
    let retention_ms =
        Some(request.retention_time_ms).filter(|ms| call.version <= RETENTION_TIME_VERSION_MAX && *ms >= 0);
    let expire_timestamp_ms = retention_ms.map(|retention_ms| now_ms.saturating_add(retention_ms));
    let image = cx.image();

    let mut partitions = Vec::new();
    // Whether the partition exists, in the order of the request.
    let mut known = Vec::new();
    for topic in &request.topics {
        let name = shared(&topic.name.0);
        let partition_count = image.topic(&name).map_or(0, |topic| topic.partitions.len());
        for commit in &topic.partitions {
            let exists = usize::try_from(commit.partition_index).is_ok_and(|index| index < partition_count);
            known.push(exists);
            if exists {
                let partition = TopicPartition { topic: name.clone(), partition: commit.partition_index };
                partitions.push(CommitPartition { partition, offset: committed(commit, now_ms, expire_timestamp_ms) });
            }
        }
    }
    let codes = commit(cx, &request, partitions).await;
    let mut codes = codes.into_iter();
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    let mut codes = known.into_iter().map(|exists| if exists { codes.next().unwrap_or_default() } else { unknown });

    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(codes.next().unwrap_or_default())
        });
        OffsetCommitResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// One code per partition, in their order.
async fn commit(cx: &Context, request: &OffsetCommitRequest, partitions: Vec<CommitPartition>) -> Vec<i16> {
    let count = partitions.len();
    if count == 0 {
        return Vec::new();
    }
    let commit = Commit {
        group: shared(&request.group_id.0),
        member_id: shared(&request.member_id),
        instance_id: shared_option(request.group_instance_id.as_ref()),
        generation: Some(request.generation_id_or_member_epoch).filter(|generation| *generation >= 0),
        partitions,
    };
    match cx.groups.commit(commit).await {
        Ok(results) => results.iter().map(error_code).collect(),
        Err(error) => vec![error_code::<()>(&Err(error)); count],
    }
}

fn committed(commit: &OffsetCommitRequestPartition, now_ms: i64, expire_timestamp_ms: Option<i64>) -> CommittedOffset {
    CommittedOffset {
        offset: commit.committed_offset,
        leader_epoch: Some(commit.committed_leader_epoch).filter(|epoch| *epoch >= 0),
        metadata: commit.committed_metadata.as_ref().map(|text| text.to_string()).unwrap_or_default(),
        commit_timestamp_ms: now_ms,
        expire_timestamp_ms,
    }
}

impl ErrorCodes for OffsetCommitResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        self.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code)
    }
}
