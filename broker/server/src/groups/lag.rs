//! How far groups are behind: what `weir_control::lag` is told of groups and partitions, for metrics, for [`super::rest`],
//! and now and then by itself, so that its windows fill.
//!
//! Takes the groups' locks one after another, each for as long as it takes to copy a few words of every group, and none of a
//! partition's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use weir_control::groups::{CommittedOffset, Group, GroupState, RebalanceReason};
use weir_control::lag::{LagConfig, LagTracker, PartitionLag, Position, Reading};
use weir_types::TopicPartition;

use super::Groups;
use crate::clock::now_ms;
use crate::partition::{Partition, Partitions};

/// Looks per window: as many as the tracker keeps samples, and one in between.
const LOOKS_PER_WINDOW: u32 = 20;
/// However short the window is.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(50);

/// One per broker.
pub(crate) struct GroupLags {
    groups: Arc<Groups>,
    partitions: Arc<Partitions>,
    tracker: Mutex<LagTracker>,
    look_interval: Duration,
    wanted: Notify,
}

impl GroupLags {
    pub(crate) fn new(groups: Arc<Groups>, partitions: Arc<Partitions>, config: LagConfig) -> Self {
        let look_interval = (config.window / LOOKS_PER_WINDOW).max(LOOK_INTERVAL_MIN);
        Self { groups, partitions, tracker: Mutex::new(LagTracker::new(config)), look_interval, wanted: Notify::new() }
    }

    pub(crate) fn coordinator(&self) -> &Arc<Groups> {
        &self.groups
    }

    /// How often somebody has to look.
    pub(crate) fn look_interval(&self) -> Duration {
        self.look_interval
    }

    /// Asks for a look now, because something has happened that the next commit would hide.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Returns once somebody wants a look. Cancelled, it has taken nothing.
    pub(crate) async fn is_wanted(&self) {
        self.wanted.notified().await;
    }

    /// Every group by its name. Groups whose partition is not read yet are missing.
    pub(crate) fn groups(&self) -> Vec<GroupLook> {
        let mut groups = Vec::new();
        self.groups.read_loaded(|group| groups.push(GroupLook::of(group)));
        groups.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        groups
    }

    /// Looks at every group; the tracker as of now.
    pub(crate) fn look(&self) -> MutexGuard<'_, LagTracker> {
        self.look_at(self.groups())
    }

    /// The same of groups that were just read.
    pub(crate) fn look_at(&self, groups: Vec<GroupLook>) -> MutexGuard<'_, LagTracker> {
        let mut tracker = self.tracker.lock().unwrap_or_else(PoisonError::into_inner);
        tracker.observe(now_ms(), groups.into_iter().map(|group| self.reading(group)));
        tracker
    }

    /// How near retention, by time or by size, is to the first record that the group has not read; at 1 it may delete it.
    /// `None` for a topic that keeps everything.
    pub(crate) fn unconsumed_retention_ratio(&self, lag: &PartitionLag<'_>, now_ms: i64) -> Option<f64> {
        let partition = self.partitions.partition(&lag.partition.topic, lag.partition.partition)?;
        let (published, position) = (partition.published(), &lag.position);
        let by_time = published.retention_ms().map(|limit| position.lag_ms(now_ms) as f64 / limit.max(1) as f64);
        let by_size = published.retention_bytes().map(|limit| {
            let records = (position.end_offset - position.log_start_offset).max(1) as f64;
            let unread_bytes = published.size_bytes() as f64 * position.lag_records() as f64 / records;
            unread_bytes / limit.max(1) as f64
        });
        [by_time, by_size].into_iter().flatten().reduce(f64::max)
    }

    fn reading(&self, group: GroupLook) -> Reading {
        let position = |committed: CommittedLook| {
            let at = &committed.partition;
            let found = self.partitions.partition(&at.topic, at.partition)?;
            let position = position(&found, committed.offset, committed.commit_timestamp_ms)?;
            Some((committed.partition, position))
        };
        let read = group.offsets.into_iter().filter(|committed| committed.is_read);
        Reading { group: group.id, member_count: group.member_count, positions: read.filter_map(position).collect() }
    }
}

/// Where a group stands in a partition; `None` while the partition cannot be read.
fn position(partition: &Partition, committed_offset: i64, commit_timestamp_ms: i64) -> Option<Position> {
    let published = partition.published();
    if !published.is_readable() {
        return None;
    }
    let (log_start_offset, end_offset) = (published.log_start_offset(), published.high_watermark());
    let first_unread = committed_offset.max(log_start_offset);
    let is_behind = first_unread < end_offset;
    let append_time_ms = if is_behind { partition.append_times()?.at(first_unread) } else { None };
    Some(Position { committed_offset, commit_timestamp_ms, log_start_offset, end_offset, append_time_ms })
}

/// A group, copied out of its lock.
pub(crate) struct GroupLook {
    pub(crate) id: Arc<str>,
    pub(crate) state: GroupState,
    pub(crate) member_count: usize,
    pub(crate) idle_member_count: usize,
    /// In the order of [`RebalanceReason::ALL`].
    pub(crate) rebalances: [u64; RebalanceReason::COUNT],
    /// By topic and partition.
    pub(crate) offsets: Vec<CommittedLook>,
}

/// What it has committed in one partition.
pub(crate) struct CommittedLook {
    pub(crate) partition: TopicPartition,
    offset: i64,
    /// Records by which its commits went forward.
    pub(crate) advanced: u64,
    pub(crate) commit_timestamp_ms: i64,
    /// Whether somebody may still go on from there.
    is_read: bool,
}

type Committed<'a> = ((&'a TopicPartition, &'a CommittedOffset), (&'a TopicPartition, u64));

impl GroupLook {
    fn of(group: &Group) -> Self {
        let committed = |((partition, offset), (_, advanced)): Committed<'_>| CommittedLook {
            partition: partition.clone(),
            offset: offset.offset,
            advanced,
            commit_timestamp_ms: offset.commit_timestamp_ms,
            is_read: group.is_reading(&partition.topic),
        };
        Self {
            id: Arc::clone(group.id()),
            state: group.state(),
            member_count: group.members().len(),
            idle_member_count: group.idle_member_count(),
            rebalances: group.rebalances(),
            // Both are by topic and partition.
            offsets: group.offsets().iter().zip(group.advances()).map(committed).collect(),
        }
    }
}
