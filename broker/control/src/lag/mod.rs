//! Lag: how far each group is behind, in records and in seconds, and whether that is getting better.
//!
//! A [`LagTracker`] is told now and then where every group stands ([`Reading`]) and remembers a window of it per
//! partition; from that it says a [`LagStatus`], with the evidence in words. `history` is one partition's window.
//!
//! Statuses are judged by time, not by commits: a consumer that commits once a minute is not slower than one that commits
//! each second, and a group is not behind because a record came a moment ago.
//!
//! Never: reads a clock, asks a partition anything, judges a group that has committed nothing.

mod history;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weir_types::TopicPartition;

use history::History;

/// Partitions whose lag is remembered, over all groups. What is beyond is left out, and counted.
pub const LAG_PARTITIONS_MAX: usize = 200_000;

/// What decides about statuses.
#[derive(Debug, Clone)]
pub struct LagConfig {
    /// `group.lag.window.ms`: how long something has to go on before it is said.
    pub window: Duration,
    /// `group.lag.warn.min.records`: a smaller lag is never WARN.
    pub warn_min_records: i64,
    /// `group.lag.warn.min.ms`: a shorter lag is never WARN.
    pub warn_min: Duration,
}

impl Default for LagConfig {
    fn default() -> Self {
        Self { window: Duration::from_secs(300), warn_min_records: 100, warn_min: Duration::from_secs(60) }
    }
}

/// How a group does, from well to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LagStatus {
    Ok,
    /// The lag did not fall once over the window.
    Warn,
    /// Commits went back.
    Rewound,
    /// Members are there, records too, but commits don't move.
    Stalled,
    /// Nobody is there, and the group has not read everything.
    Stopped,
    /// Records were deleted before the group read them.
    Lost,
}

impl LagStatus {
    pub const ALL: [Self; 6] = [Self::Ok, Self::Warn, Self::Rewound, Self::Stalled, Self::Stopped, Self::Lost];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Rewound => "REWOUND",
            Self::Stalled => "STALLED",
            Self::Stopped => "STOPPED",
            Self::Lost => "LOST",
        }
    }
}

/// Where a group stands in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The next offset that the group reads.
    pub committed_offset: i64,
    pub commit_timestamp_ms: i64,
    pub log_start_offset: i64,
    /// Exclusive end of what the group could read.
    pub end_offset: i64,
    /// When the first record that it has not read was appended; `None` if it has read all, or nobody knows.
    pub append_time_ms: Option<i64>,
}

impl Position {
    /// Records that it has not read and still could.
    pub fn lag_records(&self) -> i64 {
        (self.end_offset - self.committed_offset.max(self.log_start_offset)).max(0)
    }

    /// How long the first of them has been waiting, in milliseconds; 0 when it has read all.
    pub fn lag_ms(&self, now_ms: i64) -> i64 {
        match self.append_time_ms {
            Some(appended_ms) if self.lag_records() > 0 => (now_ms - appended_ms).max(0),
            _ => 0,
        }
    }

    /// Records that were deleted before it read them.
    pub fn lost_records(&self) -> i64 {
        (self.log_start_offset - self.committed_offset).max(0)
    }
}

/// Where a group stands, at one moment.
#[derive(Debug, Clone)]
pub struct Reading {
    pub group: Arc<str>,
    pub member_count: usize,
    /// Of what it has committed and somebody may still read.
    pub positions: Vec<(TopicPartition, Position)>,
}

/// What is known of one partition of a group.
#[derive(Debug, Clone)]
pub struct PartitionLag<'a> {
    pub partition: &'a TopicPartition,
    pub position: Position,
    pub status: LagStatus,
    pub since_ms: i64,
    /// Lost since the tracker knows the group.
    pub lost_records_total: u64,
    observed_ms: i64,
    history: &'a History,
}

impl PartitionLag<'_> {
    /// Why it has this status, in words.
    pub fn evidence(&self) -> String {
        self.history.evidence(self.observed_ms)
    }
}

/// What is known of a group.
#[derive(Debug, Clone)]
pub struct GroupLag<'a> {
    pub group: &'a Arc<str>,
    pub member_count: usize,
    pub status: LagStatus,
    /// Since when it has this status.
    pub since_ms: i64,
    /// Partitions of which nothing is known, because there are more than [`LAG_PARTITIONS_MAX`].
    pub left_out: usize,
    observed_ms: i64,
    histories: &'a [(TopicPartition, History)],
}

impl<'a> GroupLag<'a> {
    /// In the order of their names.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionLag<'a>> + use<'a> {
        let observed_ms = self.observed_ms;
        self.histories.iter().map(move |(partition, history)| history.lag(partition, observed_ms))
    }

    /// The worst first.
    pub fn worst_partitions(&self) -> Vec<PartitionLag<'a>> {
        let mut partitions: Vec<_> = self.partitions().collect();
        partitions.sort_by_key(|lag| std::cmp::Reverse((lag.status, lag.position.lag_records())));
        partitions
    }
}

#[derive(Debug)]
struct Tracked {
    observed_ms: i64,
    /// Which of the tracker's looks saw it last.
    look: u64,
    member_count: usize,
    status: LagStatus,
    since_ms: i64,
    /// In the order of their names.
    partitions: Vec<(TopicPartition, History)>,
    left_out: usize,
}

/// All groups of a broker.
#[derive(Debug)]
pub struct LagTracker {
    config: LagConfig,
    groups: BTreeMap<Arc<str>, Tracked>,
    looks: u64,
    dropped_partitions: usize,
}

impl LagTracker {
    pub fn new(config: LagConfig) -> Self {
        Self { config, groups: BTreeMap::new(), looks: 0, dropped_partitions: 0 }
    }

    /// Takes where all groups stand now. Groups and partitions that are missing are forgotten.
    pub fn observe(&mut self, now_ms: i64, readings: impl IntoIterator<Item = Reading>) {
        self.looks += 1;
        self.dropped_partitions = 0;
        let mut room = LAG_PARTITIONS_MAX;
        for reading in readings {
            let Reading { group, member_count, mut positions } = reading;
            // In that order they are left out, too, so that they stay the same ones.
            positions.sort_by(|(a, _), (b, _)| a.cmp(b));
            let left_out = positions.len().saturating_sub(room);
            positions.truncate(room);
            room -= positions.len();
            self.dropped_partitions += left_out;
            let tracked = self.groups.entry(group).or_insert_with(|| Tracked::new(now_ms));
            (tracked.look, tracked.member_count, tracked.left_out) = (self.looks, member_count, left_out);
            tracked.observe(now_ms, &positions, &self.config);
        }
        let look = self.looks;
        self.groups.retain(|_, tracked| tracked.look == look);
    }

    pub fn group(&self, group: &str) -> Option<GroupLag<'_>> {
        self.groups.get_key_value(group).map(|(group, tracked)| tracked.lag(group))
    }

    /// In the order of their names.
    pub fn groups(&self) -> impl Iterator<Item = GroupLag<'_>> {
        self.groups.iter().map(|(group, tracked)| tracked.lag(group))
    }

    /// Partitions that are beyond [`LAG_PARTITIONS_MAX`].
    pub fn dropped_partitions(&self) -> usize {
        self.dropped_partitions
    }
}

impl Tracked {
    fn new(now_ms: i64) -> Self {
        let status = LagStatus::Ok;
        Self {
            observed_ms: now_ms,
            look: 0,
            member_count: 0,
            status,
            since_ms: now_ms,
            partitions: Vec::new(),
            left_out: 0,
        }
    }

    /// `positions` are in the order of their names.
    fn observe(&mut self, now_ms: i64, positions: &[(TopicPartition, Position)], config: &LagConfig) {
        self.observed_ms = now_ms;
        let names = positions.iter().map(|(partition, _)| partition);
        if !names.eq(self.partitions.iter().map(|(partition, _)| partition)) {
            self.follow(now_ms, positions);
        }
        for ((_, history), (_, position)) in self.partitions.iter_mut().zip(positions) {
            history.observe(now_ms, position, self.member_count, config);
        }
        let worst = self.partitions.iter().map(|(_, history)| history).max_by_key(|history| history.status());
        let (status, since_ms) = worst.map_or((LagStatus::Ok, now_ms), |worst| (worst.status(), worst.since_ms()));
        if status != self.status {
            (self.status, self.since_ms) = (status, since_ms);
        }
    }

    /// Forgets partitions that are gone, and begins with those that are new.
    fn follow(&mut self, now_ms: i64, positions: &[(TopicPartition, Position)]) {
        let mut histories = std::mem::take(&mut self.partitions).into_iter().peekable();
        let followed = positions.iter().map(|(partition, position)| {
            // Both are in order, so what comes before belongs to a partition that is gone.
            while histories.next_if(|(known, _)| known < partition).is_some() {}
            let known = histories.next_if(|(known, _)| known == partition);
            known.unwrap_or_else(|| (partition.clone(), History::new(now_ms, position)))
        });
        self.partitions = followed.collect();
    }

    fn lag<'a>(&'a self, group: &'a Arc<str>) -> GroupLag<'a> {
        let Self { observed_ms, member_count, status, since_ms, ref partitions, left_out, .. } = *self;
        GroupLag { group, member_count, status, since_ms, left_out, observed_ms, histories: partitions }
    }
}
