//! How far a group has read: who may commit, what expires, what may be deleted.

use std::sync::Arc;
use std::time::Duration;

use weir_types::TopicPartition;

use super::event::{Commit, CommitPartition, GroupError, Now, Reply, RequestId};
use super::group::{CONSUMER_PROTOCOL_TYPE, Group, GroupState, Phase};
use super::records::{CoordinatorRecord, OffsetCommitValue, RecordError, group_metadata_key, offset_commit_key};
use super::turn::{FollowUp, Turn};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    pub offset: i64,
    pub leader_epoch: Option<i32>,
    pub metadata: String,
    pub commit_timestamp_ms: i64,
    /// Set by clients before Kafka 2.1 only; all others follow `offsets.retention.minutes`.
    pub expire_timestamp_ms: Option<i64>,
}

impl CommittedOffset {
    pub(super) fn loaded(value: OffsetCommitValue) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata,
            commit_timestamp_ms: value.commit_timestamp_ms,
            expire_timestamp_ms: value.expire_timestamp_ms,
        }
    }

    fn record(&self, group: &str, partition: &TopicPartition) -> Result<CoordinatorRecord, RecordError> {
        let value = OffsetCommitValue {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: self.metadata.clone(),
            commit_timestamp_ms: self.commit_timestamp_ms,
            expire_timestamp_ms: self.expire_timestamp_ms,
            topic_id: None,
        };
        Ok(CoordinatorRecord { key: offset_commit_key(group, partition)?, value: Some(value.encode()?) })
    }
}

impl Group {
    pub(super) fn on_commit(&mut self, turn: &mut Turn<'_>, request: RequestId, commit: Commit) {
        if let Err(error) = self.validate_commit(turn, &commit) {
            return turn.reply(request, Reply::Commit(Err(error)));
        }
        let mut accepted = Vec::with_capacity(commit.partitions.len());
        let mut records = Vec::with_capacity(commit.partitions.len());
        let mut results = Vec::with_capacity(commit.partitions.len());
        for commit in commit.partitions {
            if commit.offset.metadata.len() > turn.config.offset_metadata_bytes_max {
                results.push(Err(GroupError::OffsetMetadataTooLarge));
                continue;
            }
            match commit.offset.record(&self.id, &commit.partition) {
                Ok(record) => {
                    records.push(record);
                    accepted.push(commit);
                    results.push(Ok(()));
                }
                Err(_) => results.push(Err(GroupError::RecordTooLarge)),
            }
        }
        if records.is_empty() {
            return turn.reply(request, Reply::Commit(Ok(results)));
        }
        turn.append(&self.id, records, FollowUp::ApplyCommit { request, accepted, results });
    }

    fn validate_commit(&mut self, turn: &Turn<'_>, commit: &Commit) -> Result<(), GroupError> {
        if self.phase == Phase::Dead {
            return Err(GroupError::CoordinatorNotAvailable);
        }
        // Who manages its own partitions, or an operator's tool, may commit while nobody else is there.
        if commit.generation.is_none() && self.phase == Phase::Empty {
            return Ok(());
        }
        if commit.generation.is_none() && commit.member_id.is_empty() && commit.instance_id.is_none() {
            return Err(GroupError::UnknownMemberId);
        }
        let (generation, phase) = (self.generation, self.phase);
        let member = self.validated(&commit.member_id, commit.instance_id.as_deref())?;
        if commit.generation != Some(generation) {
            return Err(GroupError::IllegalGeneration);
        }
        if let Phase::CompletingRebalance { .. } = phase {
            return Err(GroupError::RebalanceInProgress);
        }
        member.renew_session(turn.now.monotonic);
        Ok(())
    }

    pub(super) fn apply_commit(&mut self, accepted: Vec<CommitPartition>) {
        for CommitPartition { partition, offset } in accepted {
            let before = self.offsets.get(&partition).map_or(offset.offset, |before| before.offset);
            if let Ok(records @ 1..) = u64::try_from(offset.offset.saturating_sub(before)) {
                *self.advances.entry(partition.clone()).or_default() += records;
            }
            self.offsets.insert(partition, offset);
        }
    }

    pub(super) fn apply_removal(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.offsets.remove(partition);
            self.advances.remove(partition);
        }
    }

    fn tombstones(&self, partitions: &[TopicPartition]) -> Vec<CoordinatorRecord> {
        // A key that can't be written was never written.
        let keys = partitions.iter().filter_map(|partition| offset_commit_key(&self.id, partition).ok());
        keys.map(|key| CoordinatorRecord { key, value: None }).collect()
    }

    pub(super) fn on_delete_offsets(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        partitions: Vec<TopicPartition>,
    ) {
        let is_consumer_group = self.protocol_type() == CONSUMER_PROTOCOL_TYPE;
        let refusal = match self.state() {
            GroupState::Dead => Some(GroupError::GroupIdNotFound),
            GroupState::Empty => None,
            _ if is_consumer_group => None,
            _ => Some(GroupError::NonEmptyGroup),
        };
        if let Some(error) = refusal {
            return turn.reply(request, Reply::DeleteOffsets(Err(error)));
        }
        let results: Vec<_> = partitions
            .iter()
            .map(
                |partition| {
                    if self.is_subscribed(&partition.topic) { Err(GroupError::SubscribedToTopic) } else { Ok(()) }
                },
            )
            .collect();
        let accepted = partitions.into_iter().zip(&results).filter(|(_, result)| result.is_ok());
        let accepted: Vec<_> = accepted.map(|(partition, _)| partition).collect();
        if accepted.is_empty() {
            return turn.reply(request, Reply::DeleteOffsets(Ok(results)));
        }
        let records = self.tombstones(&accepted);
        turn.append(
            &self.id,
            records,
            FollowUp::RemoveOffsets { partitions: accepted, answer: Some((request, results)) },
        );
    }

    /// Whether what it has committed in the topic says how far it is behind: not if it has members, and all of them left
    /// the topic.
    pub fn is_reading(&self, topic: &str) -> bool {
        self.members.is_empty() || self.is_subscribed(topic)
    }

    /// Whether members read the topic, as far as can be known: what can't be read counts as everything.
    fn is_subscribed(&self, topic: &str) -> bool {
        !self.members.is_empty() && self.subscribed_topics.as_ref().is_none_or(|topics| topics.contains(topic))
    }

    pub(super) fn on_delete(&mut self, turn: &mut Turn<'_>, request: RequestId) {
        match self.state() {
            GroupState::Dead => turn.reply(request, Reply::DeleteGroup(Err(GroupError::GroupIdNotFound))),
            GroupState::Empty => self.delete(turn, Some(request)),
            _ => turn.reply(request, Reply::DeleteGroup(Err(GroupError::NonEmptyGroup))),
        }
    }

    /// Tombstones for all that the log may hold of the group, commits on their way there included.
    fn delete(&mut self, turn: &mut Turn<'_>, request: Option<RequestId>) {
        let mut partitions: Vec<_> = self.offsets.keys().chain(turn.appends.partitions_of(&self.id)).cloned().collect();
        partitions.sort_unstable();
        partitions.dedup();
        let mut records = self.tombstones(&partitions);
        if self.has_metadata_record {
            records.extend(group_metadata_key(&self.id).ok().map(|key| CoordinatorRecord { key, value: None }));
        }
        self.phase = Phase::Dead;
        turn.append(&self.id, records, FollowUp::RemoveGroup { request });
    }

    pub(super) fn on_topics_deleted(&mut self, turn: &mut Turn<'_>, topics: &[Arc<str>]) {
        let in_flight = turn.appends.partitions_of(&self.id);
        let is_deleted = |partition: &&TopicPartition| topics.contains(&partition.topic);
        let mut partitions: Vec<_> = self.offsets.keys().chain(in_flight).filter(is_deleted).cloned().collect();
        partitions.sort_unstable();
        partitions.dedup();
        self.remove_offsets(turn, partitions);
    }

    fn remove_offsets(&mut self, turn: &mut Turn<'_>, partitions: Vec<TopicPartition>) {
        if !partitions.is_empty() {
            let records = self.tombstones(&partitions);
            turn.append(&self.id, records, FollowUp::RemoveOffsets { partitions, answer: None });
        }
    }

    /// Drops offsets that nobody needs any more; the group itself, when nothing is left of it.
    pub(super) fn expire_offsets(&mut self, turn: &mut Turn<'_>) {
        if self.phase == Phase::Dead {
            return;
        }
        let in_flight = turn.appends.partitions_of(&self.id).count();
        let expired: Vec<_> = self
            .offsets
            .iter()
            .filter(|(partition, offset)| self.is_expired(turn.now, turn.config.offsets_retention, partition, offset))
            .map(|(partition, _)| partition.clone())
            .collect();
        let is_nothing_left = expired.len() == self.offsets.len() && in_flight == 0;
        if self.phase == Phase::Empty && self.pending_members.is_empty() && is_nothing_left {
            self.delete(turn, None);
        } else {
            self.remove_offsets(turn, expired);
        }
    }

    /// KIP-211: retention starts when the group loses its last member; in a group with members, only topics that none
    /// of its consumers reads any more expire; without group management it starts with the commit.
    fn is_expired(&self, now: Now, retention: Duration, partition: &TopicPartition, offset: &CommittedOffset) -> bool {
        let starts_ms = match self.state() {
            GroupState::Empty if self.protocol_type.is_some() => {
                self.state_since_ms.unwrap_or(offset.commit_timestamp_ms)
            }
            GroupState::Empty => offset.commit_timestamp_ms,
            GroupState::Stable if self.subscribed_topics.is_some() && !self.is_subscribed(&partition.topic) => {
                offset.commit_timestamp_ms
            }
            _ => return false,
        };
        match offset.expire_timestamp_ms {
            Some(expire_ms) => expire_ms <= now.wall_ms,
            None => {
                let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
                now.wall_ms.saturating_sub(starts_ms) >= retention_ms
            }
        }
    }
}
