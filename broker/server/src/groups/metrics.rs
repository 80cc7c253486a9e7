//! What groups do and how far they are behind, for `/metrics`: computed from memory at each scrape.
//!
//! Each group is shown by its coordinator alone, so that sums over brokers are right. A group without commits has no lag
//! series; a topic or group that is deleted takes its series with it.

use std::iter;
use std::sync::Arc;

use weir_control::groups::{GroupState, RebalanceReason};
use weir_control::lag::PartitionLag;

use super::lag::{GroupLags, GroupLook};
use crate::clock::now_ms;
use crate::metrics::{Bounds, Computed, Rows};

pub(crate) fn add(computed: &Computed, bounds: Bounds, lags: &Arc<GroupLags>) {
    let lags = Arc::clone(lags);
    computed.add(move || GroupRows::read(&lags, bounds).into_rows());
}

/// All of them, empty.
pub(crate) fn families(bounds: Bounds) -> Vec<Rows> {
    GroupRows::new(bounds).into_rows()
}

struct GroupRows {
    bounds: Bounds,
    /// The values of the label `state`.
    states: [Arc<str>; GroupState::ALL.len()],
    /// Those of the label `reason`.
    reasons: [Arc<str>; RebalanceReason::COUNT],
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
        let gauge = |name, labels, help| Rows::gauge(name, labels, help).within(bounds);
        let counter = |name, labels, help| Rows::counter(name, labels, help).within(bounds);
        Self {
            bounds,
            states: GroupState::ALL.map(|state| state.as_str().into()),
            reasons: RebalanceReason::ALL.map(|reason| reason.as_str().into()),
            groups: gauge("weir_groups", &["state"], "Groups that this broker coordinates."),
            state: gauge("weir_group_state", &["group", "state"], "1 for the state that the group is in.").of_each(),
            members: gauge("weir_group_members", of_group, "Members of the group."),
            members_idle: gauge(
                "weir_group_members_idle",
                of_group,
                "Members of a stable group that got no partition.",
            ),
            rebalances: counter("weir_group_rebalances_total", &["group", "reason"], "Rebalances of the group."),
            committed: counter(
                "weir_group_committed_offset_total",
                of_topic,
                "Records by which the group's commits went forward since this broker coordinates it; a first commit counts none, nor \
                 does one that goes back.",
            ),
            last_commit: gauge(
                "weir_group_last_commit_timestamp_seconds",
                of_group,
                "When the group committed last, in seconds since 1970.",
            )
            .of_each(),
            lag: gauge(
                "weir_group_lag_records",
                of_topic,
                "Records between what the group has committed and the ends of the topic's partitions.",
            ),
            lag_max: gauge("weir_group_lag_max_records", of_group, "The lag in the partition where it is largest.")
                .of_each(),
            lag_seconds: gauge(
                "weir_group_lag_seconds",
                of_topic,
                "How long the first record that the group has not read has been there, by the broker's clock; 0 when it has \
                 read all.",
            )
            .of_each(),
            lag_status: gauge(
                "weir_group_lag_status",
                of_group,
                "0 OK, 1 WARN, 2 REWOUND, 3 STALLED, 4 STOPPED, 5 LOST.",
            )
            .of_each(),
            lost: counter(
                "weir_group_lost_records_total",
                of_topic,
                "Records that were deleted before the group read them, since this broker coordinates it.",
            ),
            unconsumed_retention: gauge(
                "weir_group_unconsumed_retention_ratio",
                of_topic,
                "How near retention is to records that the group has not read: at 1 it deletes the first of them.",
            )
            .of_each(),
        }
    }

    fn read(lags: &GroupLags, bounds: Bounds) -> Self {
        let mut rows = Self::new(bounds);
        rows.states.iter().for_each(|state| rows.groups.add([state], 0.0));
        let groups = lags.groups();
        groups.iter().for_each(|group| rows.add(group));
        let tracker = lags.look_at(groups);
        let now_ms = now_ms();
        rows.lag.left_out(tracker.dropped_partitions());
        for group in tracker.groups() {
            rows.lag_status.add([group.group], f64::from(group.status as u8));
            for partition in group.partitions() {
                let retention = lags.unconsumed_retention_ratio(&partition, now_ms);
                rows.add_lag(group.group, &partition, retention, now_ms);
            }
        }
        rows
    }

    fn add(&mut self, group: &GroupLook) {
        let id = &group.id;
        for (name, state) in self.states.iter().zip(GroupState::ALL) {
            let is_in_it = group.state == state;
            if is_in_it {
                self.groups.add([name], 1.0);
            }
            self.state.add([id, name], f64::from(u8::from(is_in_it)));
        }
        self.members.add([id], group.member_count as f64);
        self.members_idle.add([id], group.idle_member_count as f64);
        for (name, count) in self.reasons.iter().zip(group.rebalances) {
            self.rebalances.add([id, name], count as f64);
        }
        for committed in &group.offsets {
            let place = self.bounds.place(&committed.partition.topic, committed.partition.partition);
            self.committed.add(iter::once(id).chain(place.values()), committed.advanced as f64);
            self.last_commit.add([id], committed.commit_timestamp_ms as f64 / 1000.0);
        }
    }

    fn add_lag(&mut self, group: &Arc<str>, lag: &PartitionLag<'_>, retention: Option<f64>, now_ms: i64) {
        let place = self.bounds.place(&lag.partition.topic, lag.partition.partition);
        let labels = || iter::once(group).chain(place.values());
        let records = lag.position.lag_records() as f64;
        self.lag.add(labels(), records);
        self.lag_max.add([group], records);
        self.lag_seconds.add(labels(), lag.position.lag_ms(now_ms) as f64 / 1000.0);
        self.lost.add(labels(), lag.lost_records_total as f64);
        if let Some(ratio) = retention {
            self.unconsumed_retention.add(labels(), ratio);
        }
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
