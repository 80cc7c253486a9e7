//! What groups do, for `/metrics`: computed from memory at each scrape.
//!
//! Each group is shown by its coordinator alone, so that sums over brokers are right. A group without commits has no lag
//! series; a topic or group that is deleted takes its series with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts};
use weir_control::groups::{Group, GroupState};
use weir_control::lag::{GroupLag, PartitionLag};
use weir_types::limits::METRIC_SERIES_MAX;

use super::lag::GroupLags;
use crate::clock::now_ms;

/// Where series beyond [`METRIC_SERIES_MAX`] go together.
const OTHER: &str = "__other__";

/// Values by label values, in order, so that the series that are shown stay the same ones.
type Series = BTreeMap<Vec<Arc<str>>, f64>;

#[derive(Default)]
struct Scrape {
    states: BTreeMap<GroupState, f64>,
    state: Series,
    members: Series,
    members_idle: Series,
    rebalances: Series,
    committed: Series,
    last_commit: Series,
    lag: Series,
    lag_max: Series,
    lag_seconds: Series,
    lag_status: Series,
    lost: Series,
    unconsumed_retention: Series,
}

/// Registered once per broker.
pub(crate) struct GroupMetrics {
    lags: Arc<GroupLags>,
    /// Empty: a scrape fills its own.
    families: Vec<Desc>,
}

impl GroupMetrics {
    pub(crate) fn new(lags: Arc<GroupLags>) -> prometheus::Result<Self> {
        let families = collectors(&Scrape::default())?.iter().flat_map(|family| family.desc()).cloned().collect();
        Ok(Self { lags, families })
    }

    fn scrape(&self) -> Scrape {
        let mut scrape = Scrape::default();
        for state in GroupState::ALL {
            scrape.states.insert(state, 0.0);
        }
        self.lags.groups().read_loaded(|group| scrape.add(group));
        let tracker = self.lags.look();
        let now_ms = now_ms();
        for lag in tracker.groups() {
            scrape.lag_status.insert(vec![lag.group.clone()], f64::from(lag.status as u8));
            for partition in &lag.partitions {
                let retention = self.lags.unconsumed_retention_ratio(partition, now_ms);
                scrape.add_lag(&lag, partition, retention, now_ms);
            }
        }
        scrape
    }
}

impl Scrape {
    fn add(&mut self, group: &Group) {
        let id = group.id();
        *self.states.entry(group.state()).or_default() += 1.0;
        for state in GroupState::ALL {
            let is_in_it = f64::from(u8::from(group.state() == state));
            self.state.insert(vec![id.clone(), state.as_str().into()], is_in_it);
        }
        self.members.insert(vec![id.clone()], group.members().len() as f64);
        self.members_idle.insert(vec![id.clone()], group.idle_member_count() as f64);
        for (reason, count) in group.rebalances() {
            self.rebalances.insert(vec![id.clone(), reason.as_str().into()], count as f64);
        }
        for (partition, offset) in group.offsets() {
            *self.committed.entry(vec![id.clone(), partition.topic.clone()]).or_default() += offset.offset as f64;
            at_least(&mut self.last_commit, vec![id.clone()], offset.commit_timestamp_ms as f64 / 1000.0);
        }
    }

    fn add_lag(&mut self, group: &GroupLag<'_>, lag: &PartitionLag<'_>, retention: Option<f64>, now_ms: i64) {
        let labels = || vec![group.group.clone(), lag.partition.topic.clone()];
        let records = lag.position.lag_records() as f64;
        *self.lag.entry(labels()).or_default() += records;
        at_least(&mut self.lag_max, vec![group.group.clone()], records);
        at_least(&mut self.lag_seconds, labels(), lag.position.lag_ms(now_ms) as f64 / 1000.0);
        *self.lost.entry(labels()).or_default() += lag.lost_records_total as f64;
        if let Some(ratio) = retention {
            at_least(&mut self.unconsumed_retention, labels(), ratio);
        }
    }
}

/// Of several partitions the worst one counts.
fn at_least(series: &mut Series, labels: Vec<Arc<str>>, value: f64) {
    let shown = series.entry(labels).or_default();
    *shown = shown.max(value);
}

impl Collector for GroupMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.families.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        match collectors(&self.scrape()) {
            Ok(collectors) => collectors.iter().flat_map(|family| family.collect()).collect(),
            Err(error) => {
                tracing::error!(%error, "group metrics were not collected");
                Vec::new()
            }
        }
    }
}

fn collectors(scrape: &Scrape) -> prometheus::Result<Vec<Box<dyn Collector>>> {
    let states = scrape.states.iter().map(|(state, count)| (vec![Arc::from(state.as_str())], *count)).collect();
    Ok(vec![
        gauge("weir_groups", "Groups that this broker coordinates.", &["state"], &states)?,
        gauge_of_each("weir_group_state", "1 for the state that the group is in.", &["group", "state"], &scrape.state)?,
        gauge("weir_group_members", "Members of the group.", &["group"], &scrape.members)?,
        gauge(
            "weir_group_members_idle",
            "Members of a stable group that got no partition.",
            &["group"],
            &scrape.members_idle,
        )?,
        counter("weir_group_rebalances_total", "Rebalances of the group.", &["group", "reason"], &scrape.rebalances)?,
        counter(
            "weir_group_committed_offset_total",
            "Sum of the offsets that the group has committed in the topic's partitions: its rate is records per second.",
            &["group", "topic"],
            &scrape.committed,
        )?,
        gauge_of_each(
            "weir_group_last_commit_timestamp_seconds",
            "When the group committed last, in seconds since 1970.",
            &["group"],
            &scrape.last_commit,
        )?,
        gauge(
            "weir_group_lag_records",
            "Records between what the group has committed and the ends of the topic's partitions.",
            &["group", "topic"],
            &scrape.lag,
        )?,
        gauge_of_each(
            "weir_group_lag_max_records",
            "The lag in the partition where it is largest.",
            &["group"],
            &scrape.lag_max,
        )?,
        gauge_of_each(
            "weir_group_lag_seconds",
            "How long the first record that the group has not read has been in the topic, by the broker's clock; 0 when it \
             has read all.",
            &["group", "topic"],
            &scrape.lag_seconds,
        )?,
        gauge_of_each(
            "weir_group_lag_status",
            "0 OK, 1 WARN, 2 REWOUND, 3 STALLED, 4 STOPPED, 5 LOST.",
            &["group"],
            &scrape.lag_status,
        )?,
        counter(
            "weir_group_lost_records_total",
            "Records that were deleted before the group read them, since this broker coordinates it.",
            &["group", "topic"],
            &scrape.lost,
        )?,
        gauge_of_each(
            "weir_group_unconsumed_retention_ratio",
            "How near retention is to records that the group has not read: at 1 it deletes the first of them.",
            &["group", "topic"],
            &scrape.unconsumed_retention,
        )?,
    ])
}

/// Of values that mean nothing when they are added up: what is beyond the limit is left out.
fn gauge_of_each(name: &str, help: &str, labels: &[&str], series: &Series) -> prometheus::Result<Box<dyn Collector>> {
    let shown = series.iter().take(METRIC_SERIES_MAX).map(|(values, value)| (values.clone(), *value)).collect();
    gauge(name, help, labels, &shown)
}

fn gauge(name: &str, help: &str, labels: &[&str], series: &Series) -> prometheus::Result<Box<dyn Collector>> {
    let family = GaugeVec::new(Opts::new(name, help), labels)?;
    for_each_shown(series, |values, value| family.with_label_values(values).add(value));
    Ok(Box::new(family))
}

fn counter(name: &str, help: &str, labels: &[&str], series: &Series) -> prometheus::Result<Box<dyn Collector>> {
    let family = CounterVec::new(Opts::new(name, help), labels)?;
    for_each_shown(series, |values, value| {
        family.with_label_values(values).inc_by(value);
    });
    Ok(Box::new(family))
}

fn for_each_shown(series: &Series, mut show: impl FnMut(&[&str], f64)) {
    for (index, (values, value)) in series.iter().enumerate() {
        let values: Vec<&str> = if index < METRIC_SERIES_MAX {
            values.iter().map(|value| &**value).collect()
        } else {
            vec![OTHER; values.len()]
        };
        show(&values, *value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_beyond_the_limit_are_counted_together() {
        let series = (0..METRIC_SERIES_MAX + 5).map(|index| (vec![Arc::from(format!("g{index:06}"))], 1.0)).collect();
        let families = gauge("weir_group_members", "Members.", &["group"], &series).unwrap().collect();
        let metrics = families[0].get_metric();
        assert_eq!(metrics.len(), METRIC_SERIES_MAX + 1);
        let other = metrics.iter().find(|metric| metric.get_label()[0].value() == OTHER).unwrap();
        assert!((other.get_gauge().get_value() - 5.0).abs() < f64::EPSILON);
    }
}
