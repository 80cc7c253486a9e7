//! One look at all partitions and groups, in an order that stays the same, so that the families of a page agree.

use std::sync::Arc;

use crate::api::Context;
use crate::clock::now_ms;
use crate::metrics::TopicMetrics;
use crate::metrics::cluster::{Replication, for_each_partition};
use crate::partition::Topic;

pub(super) struct Look {
    pub(super) topics: Vec<TopicLook>,
    pub(super) partitions: Vec<PartitionLook>,
    /// What groups have committed.
    pub(super) positions: Vec<GroupPosition>,
    /// Every group and how many members it has.
    pub(super) groups: Vec<(Arc<str>, usize)>,
}

pub(super) struct TopicLook {
    pub(super) name: Arc<str>,
    pub(super) partition_count: usize,
    pub(super) metrics: Arc<TopicMetrics>,
}

pub(super) struct PartitionLook {
    pub(super) topic: Arc<str>,
    index: i32,
    partition: String,
    is_readable: bool,
    pub(super) is_online: bool,
    pub(super) leader: i32,
    pub(super) replication: Replication,
    pub(super) log_start_offset: i64,
    pub(super) high_watermark: i64,
    pub(super) log_end_offset: i64,
    pub(super) size_bytes: u64,
}

/// Where a group stands in a partition.
pub(super) struct GroupPosition {
    pub(super) group: Arc<str>,
    pub(super) topic: Arc<str>,
    index: i32,
    partition: String,
    pub(super) committed_offset: i64,
    pub(super) lag_records: i64,
    pub(super) lag_ms: i64,
}

impl Look {
    pub(super) fn at(cx: &Context) -> Self {
        Self { topics: topics(cx), partitions: partitions(cx), positions: positions(cx), groups: groups(cx) }
    }

    /// The partitions that can be read.
    pub(super) fn readable(&self) -> impl Iterator<Item = &PartitionLook> {
        self.partitions.iter().filter(|partition| partition.is_readable)
    }
}

impl PartitionLook {
    pub(super) fn labels(&self) -> [&str; 2] {
        [&self.topic, &self.partition]
    }
}

impl GroupPosition {
    pub(super) fn labels(&self) -> [&str; 3] {
        [&self.group, &self.topic, &self.partition]
    }
}

fn topics(cx: &Context) -> Vec<TopicLook> {
    let look = |topic: &Arc<Topic>| TopicLook {
        name: Arc::clone(&topic.name),
        partition_count: topic.partitions.len(),
        metrics: Arc::clone(&topic.metrics),
    };
    let mut topics: Vec<TopicLook> = cx.partitions.topics().iter().map(look).collect();
    topics.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    topics
}

fn partitions(cx: &Context) -> Vec<PartitionLook> {
    let mut partitions = Vec::new();
    for_each_partition(cx, |image, partition, replication| {
        let published = partition.published();
        partitions.push(PartitionLook {
            topic: Arc::clone(&partition.name.topic),
            index: partition.name.partition,
            partition: partition.name.partition.to_string(),
            is_readable: published.is_readable(),
            is_online: published.is_online(),
            leader: image.leader,
            replication,
            log_start_offset: published.log_start_offset(),
            high_watermark: published.high_watermark(),
            log_end_offset: published.log_end_offset(),
            size_bytes: published.size_bytes(),
        });
    });
    partitions.sort_unstable_by(|a, b| (&a.topic, a.index).cmp(&(&b.topic, b.index)));
    partitions
}

fn positions(cx: &Context) -> Vec<GroupPosition> {
    let mut positions = Vec::new();
    let tracker = cx.lags.look();
    let now_ms = now_ms();
    for group in tracker.groups() {
        for lag in group.partitions() {
            positions.push(GroupPosition {
                group: Arc::clone(group.group),
                topic: Arc::clone(&lag.partition.topic),
                index: lag.partition.partition,
                partition: lag.partition.partition.to_string(),
                committed_offset: lag.position.committed_offset,
                lag_records: lag.position.lag_records(),
                lag_ms: lag.position.lag_ms(now_ms),
            });
        }
    }
    drop(tracker);
    positions.sort_unstable_by(|a, b| (&a.group, &a.topic, a.index).cmp(&(&b.group, &b.topic, b.index)));
    positions
}

fn groups(cx: &Context) -> Vec<(Arc<str>, usize)> {
    let mut groups = Vec::new();
    cx.groups.read_loaded(|group| groups.push((Arc::clone(group.id()), group.members().len())));
    groups.sort_unstable();
    groups
}
