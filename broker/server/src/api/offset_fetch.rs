//! OffsetFetch, v1..=9.
//!
//! v2: null topics mean all; an error of the group itself. v5: leader epochs. v6: flexible.
//! v7: `require_stable`, which waits for open transactions; there are none. v8: several groups. v9: the member that
//! asks, which only the protocol of KIP-848 checks.
//! What was never committed is offset -1 without an error.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use weir_control::groups::{CommittedOffset, Group, GroupError};
use weir_types::TopicPartition;

use super::convert::text;
use super::error::ErrorCodes;
use super::group_errors::{response_error, shared};
use super::{Call, Context};

const GROUP_ERROR_VERSION_MIN: i16 = 2;
const LEADER_EPOCH_VERSION_MIN: i16 = 5;
const BATCH_VERSION_MIN: i16 = 8;

const NO_OFFSET: i64 = -1;
const NO_LEADER_EPOCH: i32 = -1;

pub(super) async fn handle(cx: &Context, call: &Call, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if call.version >= BATCH_VERSION_MIN {
        let groups = request.groups.into_iter().map(|group| {
            let topics = group.topics.map(|topics| topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect());
            let answer = OffsetFetchResponseGroup::default();
            let answer = match fetch(cx, &group.group_id, topics) {
                Ok(topics) => answer.with_topics(topics.into_iter().map(batched_topic).collect()),
                Err(error) => answer.with_error_code(response_error(error).code()),
            };
            answer.with_group_id(group.group_id)
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let topics: Option<Vec<_>> =
        request.topics.map(|topics| topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect());
    match fetch(cx, &request.group_id, topics.clone()) {
        Ok(topics) => {
            let topics = topics.into_iter().map(|topic| single_topic(call, topic, 0));
            OffsetFetchResponse::default().with_topics(topics.collect())
        }
        Err(error) if call.version >= GROUP_ERROR_VERSION_MIN => {
            OffsetFetchResponse::default().with_error_code(response_error(error).code())
        }
        Err(error) => {
            let nothing = |index| (index, None);
            let topics = topics.unwrap_or_default().into_iter();
            let topics = topics.map(|(name, indexes)| (name, indexes.into_iter().map(nothing).collect()));
            let topics = topics.map(|topic| single_topic(call, topic, response_error(error).code()));
            OffsetFetchResponse::default().with_topics(topics.collect())
        }
    }
}

type Asked = Vec<(TopicName, Vec<i32>)>;
type Topic = (TopicName, Vec<(i32, Option<CommittedOffset>)>);

/// `asked` is `None` for everything that the group has committed.
fn fetch(cx: &Context, group: &str, asked: Option<Asked>) -> Result<Vec<Topic>, GroupError> {
    let Some(asked) = asked else {
        return Ok(cx.groups.read(group, everything)?.unwrap_or_default());
    };
    let found =
        cx.groups.read(group, |group| asked.iter().map(|(name, indexes)| some(group, name, indexes)).collect())?;
    Ok(found.unwrap_or_else(|| {
        let nothing = |(name, indexes): (TopicName, Vec<i32>)| (name, indexes.into_iter().map(|i| (i, None)).collect());
        asked.into_iter().map(nothing).collect()
    }))
}

fn some(group: &Group, name: &TopicName, indexes: &[i32]) -> Topic {
    let topic = shared(&name.0);
    let find = |partition: i32| group.offsets().get(&TopicPartition { topic: topic.clone(), partition }).cloned();
    (name.clone(), indexes.iter().map(|index| (*index, find(*index))).collect())
}

fn everything(group: &Group) -> Vec<Topic> {
    let mut topics: BTreeMap<Arc<str>, Vec<_>> = BTreeMap::new();
    for (partition, offset) in group.offsets() {
        topics.entry(partition.topic.clone()).or_default().push((partition.partition, Some(offset.clone())));
    }
    topics.into_iter().map(|(topic, partitions)| (TopicName(text(&topic)), partitions)).collect()
}

fn batched_topic((name, partitions): Topic) -> OffsetFetchResponseTopics {
    let partitions = partitions.into_iter().map(|(index, offset)| {
        let answer = OffsetFetchResponsePartitions::default().with_partition_index(index);
        let Some(offset) = offset else {
            let answer = answer.with_committed_offset(NO_OFFSET).with_committed_leader_epoch(NO_LEADER_EPOCH);
            return answer.with_metadata(Some(text("")));
        };
        answer
            .with_committed_offset(offset.offset)
            .with_committed_leader_epoch(offset.leader_epoch.unwrap_or(NO_LEADER_EPOCH))
            .with_metadata(Some(text(&offset.metadata)))
    });
    OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
}

fn single_topic(call: &Call, (name, partitions): Topic, error_code: i16) -> OffsetFetchResponseTopic {
    let partitions = partitions.into_iter().map(|(index, offset)| {
        let epoch = offset.as_ref().and_then(|offset| offset.leader_epoch);
        let epoch = epoch.filter(|_| call.version >= LEADER_EPOCH_VERSION_MIN);
        OffsetFetchResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(error_code)
            .with_committed_offset(offset.as_ref().map_or(NO_OFFSET, |offset| offset.offset))
            .with_committed_leader_epoch(epoch.unwrap_or(NO_LEADER_EPOCH))
            .with_metadata(Some(text(offset.as_ref().map_or("", |offset| &offset.metadata))))
    });
    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
}

impl ErrorCodes for OffsetFetchResponse {
    fn error_codes(&self) -> impl Iterator<Item = i16> {
        let topics = self.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        let groups = self.groups.iter().flat_map(|group| {
            let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
            std::iter::once(group.error_code).chain(partitions.map(|partition| partition.error_code))
        });
        std::iter::once(self.error_code).chain(topics).chain(groups)
    }
}
