//! What groups do and how far they are behind, for `/metrics`: computed from memory at each scrape.
//!
//! Each group is shown by its coordinator alone, so that sums over brokers are right. A group without commits has no lag
//! series; a topic or group that is deleted takes its series with it.

use std::sync::Arc;

use prometheus::{Error, Registry};
use weir_control::groups::{Group, GroupState};
use weir_control::lag::{GroupLag, PartitionLag};

use super::lag::GroupLags;
use crate::clock::now_ms;
use crate::metrics::{Bounds, Metrics, Rows};

pub(crate) fn register(registry: &Registry, metrics: &Metrics, lags: &Arc<GroupLags>) -> Result<(), Error> {
    let (bounds, lags) = (metrics.bounds, Arc::clone(lags));
    let empty = GroupRows::new(bounds).into_rows();
    registry.register(Box::new(metrics.computed(&empty, move || GroupRows::read(&lags, bounds).into_rows())?))
}

/// All of them, empty.
pub(crate) fn families(bounds: Bounds) -> Vec<Rows> {
    GroupRows::new(bounds).into_rows()
}

struct GroupRows {
    bounds: Bounds,
    groups: Rows,
    state: Rows,
    members: Rows,
    members_idle: Rows,
    rebalances: Rows,
    committed: Rows,
    last_commit: Rows,
    lag: Rows,
    lag_max: Rows,
    lag_seconds: Rows,
    lag_status: Rows,
    lost: Rows,
    unconsumed_retention: Rows,
}

impl GroupRows {
    fn new(bounds: Bounds) -> Self {
        let of_group = &["group"][..];
        let of_topic = &[of_group, bounds.topic_labels()].concat()[..];
        Self {
            bounds,
            groups: Rows::gauge("weir_groups", &["state"], "Groups that this broker coordinates."),
            state: Rows::gauge("weir_group_state", &["group", "state"], "1 for the state that the group is in.").of_each(),
            members: Rows::gauge("weir_group_members", of_group, "Members of the group."),
            members_idle: Rows::gauge(
                "weir_group_members_idle",
                of_group,
                "Members of a stable group that got no partition.",
            ),
            rebalances: Rows::counter("weir_group_rebalances_total", &["group", "reason"], "Rebalances of the group."),
            committed: Rows::counter(
                "weir_group_committed_offset_total",
                of_topic,
                "Sum of the offsets that the group has committed: its rate is records per second.",
            ),
            last_commit: Rows::gauge(
                "weir_group_last_commit_timestamp_seconds",
                of_group,
                "When the group committed last, in seconds since 1970.",
            )
            .of_each(),
            lag: Rows::gauge(
                "weir_group_lag_records",
                of_topic,
                "Records between what the group has committed and the ends of the topic's partitions.",
            ),
            lag_max: Rows::gauge("weir_group_lag_max_records", of_group, "The lag in the partition where it is largest.")
                .of_each(),
            lag_seconds: Rows::gauge(
                "weir_group_lag_seconds",
                of_topic,
                "How long the first record that the group has not read has been there, by the broker's clock; 0 when it has \
                 read all.",
            )
            .of_each(),
            lag_status: Rows::gauge(
                "weir_group_lag_status",
                of_group,
                "0 OK, 1 WARN, 2 REWOUND, 3 STALLED, 4 STOPPED, 5 LOST.",
            )
            .of_each(),
            lost: Rows::counter(
                "weir_group_lost_records_total",
                of_topic,
                "Records that were deleted before the group read them, since this broker coordinates it.",
            ),
            unconsumed_retention: Rows::gauge(
                "weir_group_unconsumed_retention_ratio",
                of_topic,
                "How near retention is to records that the group has not read: at 1 it deletes the first of them.",
            )
            .of_each(),
        }
    }

    fn read(lags: &GroupLags, bounds: Bounds) -> Self {
        let mut rows = Self::new(bounds);
        for state in GroupState::ALL {
            rows.groups.set(vec![state.as_str().into()], 0.0);
        }
        lags.groups().read_loaded(|group| rows.add(group));
        let tracker = lags.look();
        let now_ms = now_ms();
        for group in tracker.groups() {
            rows.lag_status.set(vec![Arc::clone(group.group)], f64::from(group.status as u8));
            for partition in &group.partitions {
                let retention = lags.unconsumed_retention_ratio(partition, now_ms);
                rows.add_lag(&group, partition, retention, now_ms);
            }
        }
        rows
    }

    fn add(&mut self, group: &Group) {
        let id = || vec![Arc::clone(group.id())];
        self.groups.add(vec![group.state().as_str().into()], 1.0);
        for state in GroupState::ALL {
            let is_in_it = f64::from(u8::from(group.state() == state));
            self.state.set(vec![Arc::clone(group.id()), state.as_str().into()], is_in_it);
        }
        self.members.set(id(), group.members().len() as f64);
        self.members_idle.set(id(), group.idle_member_count() as f64);
        for (reason, count) in group.rebalances() {
            self.rebalances.set(vec![Arc::clone(group.id()), reason.as_str().into()], count as f64);
        }
        for (partition, offset) in group.offsets() {
            self.committed.add(self.labels(group.id(), &partition.topic, partition.partition), offset.offset as f64);
            self.last_commit.at_least(id(), offset.commit_timestamp_ms as f64 / 1000.0);
        }
    }

    fn add_lag(&mut self, group: &GroupLag<'_>, lag: &PartitionLag<'_>, retention: Option<f64>, now_ms: i64) {
        let labels = self.labels(group.group, &lag.partition.topic, lag.partition.partition);
        let records = lag.position.lag_records() as f64;
        self.lag.add(labels.clone(), records);
        self.lag_max.at_least(vec![Arc::clone(group.group)], records);
        self.lag_seconds.at_least(labels.clone(), lag.position.lag_ms(now_ms) as f64 / 1000.0);
        self.lost.add(labels.clone(), lag.lost_records_total as f64);
        if let Some(ratio) = retention {
            self.unconsumed_retention.at_least(labels, ratio);
        }
    }

    fn labels(&self, group: &Arc<str>, topic: &Arc<str>, partition: i32) -> Vec<Arc<str>> {
        let mut labels = vec![Arc::clone(group)];
        labels.extend(self.bounds.topic_values(topic, partition));
        labels
    }

    fn into_rows(self) -> Vec<Rows> {
        vec![
            self.groups,
            self.state,
            self.members,
            self.members_idle,
            self.rebalances,
            self.committed,
            self.last_commit,
            self.lag,
            self.lag_max,
            self.lag_seconds,
            self.lag_status,
            self.lost,
            self.unconsumed_retention,
        ]
    }
}
