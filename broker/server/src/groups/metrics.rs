//! What groups do, for `/metrics`: computed from memory at each scrape.
//!
//! Each group is shown by its coordinator alone, so that sums over brokers are right. A group without commits has no lag
//! series; a topic or group that is deleted takes its series with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};
use weir_control::groups::{Group, GroupState};
use weir_types::limits::METRIC_SERIES_MAX;

use super::Groups;
use crate::partition::Partitions;

/// Where series beyond [`METRIC_SERIES_MAX`] go together.
const OTHER: &str = "__other__";

/// Values by label values, in order, so that the series that are shown stay the same ones.
type Series = BTreeMap<Vec<Arc<str>>, i64>;

#[derive(Default)]
struct Scrape {
    states: BTreeMap<GroupState, i64>,
    members: Series,
    rebalances: Series,
    committed: Series,
    last_commit: Series,
    lag: Series,
    lag_max: Series,
}

/// Registered once per broker.
pub(crate) struct GroupMetrics {
    groups: Arc<Groups>,
    partitions: Arc<Partitions>,
    /// Empty: a scrape fills its own.
    families: Vec<Desc>,
}

impl GroupMetrics {
    pub(crate) fn new(groups: Arc<Groups>, partitions: Arc<Partitions>) -> prometheus::Result<Self> {
        let families = collectors(&Scrape::default())?.iter().flat_map(|family| family.desc()).cloned().collect();
        Ok(Self { groups, partitions, families })
    }

    fn scrape(&self) -> Scrape {
        let mut scrape = Scrape::default();
        for state in GroupState::ALL {
            scrape.states.insert(state, 0);
        }
        let mut commits = Vec::new();
        self.groups.read_loaded(|group| {
            scrape.add(group);
            let offsets = group.offsets().iter();
            commits.extend(offsets.map(|(partition, offset)| (group.id().clone(), partition.clone(), offset.offset)));
        });
        // The groups' locks are free again: what follows looks at partitions.
        for (group, partition, offset) in commits {
            let found = self.partitions.partition(&partition.topic, partition.partition);
            let Some(end) = found.and_then(|found| found.offsets().ok()) else { continue };
            scrape.add_lag(&group, &partition.topic, (end.high_watermark - offset).max(0));
        }
        scrape
    }
}

impl Scrape {
    fn add(&mut self, group: &Group) {
        let id = group.id();
        *self.states.entry(group.state()).or_default() += 1;
        self.members.insert(vec![id.clone()], group.members().len() as i64);
        for (reason, count) in group.rebalances() {
            self.rebalances.insert(vec![id.clone(), reason.as_str().into()], count.cast_signed());
        }
        for (partition, offset) in group.offsets() {
            *self.committed.entry(vec![id.clone(), partition.topic.clone()]).or_default() += offset.offset;
            let last = self.last_commit.entry(vec![id.clone()]).or_default();
            *last = (*last).max(offset.commit_timestamp_ms / 1000);
        }
    }

    fn add_lag(&mut self, group: &Arc<str>, topic: &Arc<str>, lag: i64) {
        *self.lag.entry(vec![group.clone(), topic.clone()]).or_default() += lag;
        let max = self.lag_max.entry(vec![group.clone()]).or_default();
        *max = (*max).max(lag);
    }
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
        gauge("weir_group_members", "Members of the group.", &["group"], &scrape.members)?,
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
    ])
}

/// Of values that mean nothing when they are added up: what is beyond the limit is left out.
fn gauge_of_each(name: &str, help: &str, labels: &[&str], series: &Series) -> prometheus::Result<Box<dyn Collector>> {
    let shown = series.iter().take(METRIC_SERIES_MAX).map(|(values, value)| (values.clone(), *value)).collect();
    gauge(name, help, labels, &shown)
}

fn gauge(name: &str, help: &str, labels: &[&str], series: &Series) -> prometheus::Result<Box<dyn Collector>> {
    let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
    for_each_shown(series, |values, value| family.with_label_values(values).add(value));
    Ok(Box::new(family))
}

fn counter(name: &str, help: &str, labels: &[&str], series: &Series) -> prometheus::Result<Box<dyn Collector>> {
    let family = IntCounterVec::new(Opts::new(name, help), labels)?;
    for_each_shown(series, |values, value| {
        family.with_label_values(values).inc_by(u64::try_from(value).unwrap_or_default());
    });
    Ok(Box::new(family))
}

fn for_each_shown(series: &Series, mut show: impl FnMut(&[&str], i64)) {
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
        let series = (0..METRIC_SERIES_MAX + 5).map(|index| (vec![Arc::from(format!("g{index:06}"))], 1)).collect();
        let families = gauge("weir_group_members", "Members.", &["group"], &series).unwrap().collect();
        let metrics = families[0].get_metric();
        assert_eq!(metrics.len(), METRIC_SERIES_MAX + 1);
        let other = metrics.iter().find(|metric| metric.get_label()[0].value() == OTHER).unwrap();
        assert!((other.get_gauge().get_value() - 5.0).abs() < f64::EPSILON);
    }
}
