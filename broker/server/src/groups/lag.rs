//! How far groups are behind: what `weir_control::lag` is told of groups and partitions, for metrics, for [`super::rest`],
//! and now and then by itself, so that its windows fill.
//!
//! Takes the groups' locks one after another, and none of a partition's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use weir_control::groups::Group;
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
}

impl GroupLags {
    pub(crate) fn new(groups: Arc<Groups>, partitions: Arc<Partitions>, config: LagConfig) -> Self {
        let look_interval = (config.window / LOOKS_PER_WINDOW).max(LOOK_INTERVAL_MIN);
        Self { groups, partitions, tracker: Mutex::new(LagTracker::new(config)), look_interval }
    }

    pub(crate) fn groups(&self) -> &Arc<Groups> {
        &self.groups
    }

    /// How often somebody has to look.
    pub(crate) fn look_interval(&self) -> Duration {
        self.look_interval
    }

    /// Looks at every group; the tracker as of now. Groups whose partition is not read yet are missing.
    pub(crate) fn look(&self) -> MutexGuard<'_, LagTracker> {
        let mut committed = Vec::new();
        self.groups.read_loaded(|group| committed.push(Committed::of(group)));
        // The groups' locks are free again: what follows looks at partitions.
        let readings = committed.into_iter().map(|committed| self.reading(committed)).collect();
        let mut tracker = self.tracker.lock().unwrap_or_else(PoisonError::into_inner);
        tracker.observe(now_ms(), readings);
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

    fn reading(&self, committed: Committed) -> Reading {
        let Committed { group, member_count, offsets } = committed;
        let position = |(partition, offset, commit_timestamp_ms): (TopicPartition, i64, i64)| {
            let found = self.partitions.partition(&partition.topic, partition.partition)?;
            Some((partition, position(&found, offset, commit_timestamp_ms)?))
        };
        Reading { group, member_count, positions: offsets.into_iter().filter_map(position).collect() }
    }
}

/// Where a group stands in a partition; `None` while the partition cannot be read.
fn position(partition: &Partition, committed_offset: i64, commit_timestamp_ms: i64) -> Option<Position> {
    let published = partition.published();
    if !published.is_online() {
        return None;
    }
    let (log_start_offset, end_offset) = (published.log_start_offset(), published.high_watermark());
    let first_unread = committed_offset.max(log_start_offset);
    let is_behind = first_unread < end_offset;
    let append_time_ms = if is_behind { partition.append_times()?.at(first_unread) } else { None };
    Some(Position { committed_offset, commit_timestamp_ms, log_start_offset, end_offset, append_time_ms })
}

/// What a group has committed, copied out of its lock.
struct Committed {
    group: Arc<str>,
    member_count: usize,
    offsets: Vec<(TopicPartition, i64, i64)>,
}

impl Committed {
    fn of(group: &Group) -> Self {
        let read = group.offsets().iter().filter(|(partition, _)| group.is_reading(&partition.topic));
        Self {
            group: Arc::clone(group.id()),
            member_count: group.members().len(),
            offsets: read.map(|(at, offset)| (at.clone(), offset.offset, offset.commit_timestamp_ms)).collect(),
        }
    }
}
