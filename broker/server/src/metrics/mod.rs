//! The broker's own metrics, `weir_*`.
//!
//! [`Metrics`] holds what is counted as it happens: by topic ([`topics`]) and by API ([`requests`]). What has a row per topic,
//! partition or group is computed when `/metrics` is asked ([`rows`]): [`scrape`] (partitions, the disk), [`cluster`] (health, replication, balance),
//! [`runtime`], [`process`], and the groups' own in `groups/metrics`. [`exposition`] writes it all down, with [`page`] for what
//! is computed, and [`open_metrics`] for who wants [`exemplars`]. What other parts of the process count is held within the
//! same limit by [`registered`]. [`compat`] shows the same under the names of Kafka's exporters.
//!
//! Invariants: every family is bounded by [`Bounds`]; a series is exported by one broker only (a partition's by its leader, a
//! group's by its coordinator, the cluster's by the controller); counting takes no lock, and computing none for which a produce
//! request waits.

mod buckets;
mod cluster;
mod compat;
mod exemplars;
mod exposition;
mod open_metrics;
mod page;
mod process;
mod registered;
mod requests;
mod rows;
mod runtime;
pub(crate) mod scrape;
mod throughput;
mod topics;

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{Counter, Error, Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};
use weir_protocol::api::ApiSpec;

pub(crate) use cluster::BrokerState;
pub use compat::Compat;
pub(crate) use exemplars::Exemplars;
pub(crate) use exposition::{Format, render};
pub use process::register as register_process;
pub(crate) use requests::ApiMetrics;
pub(crate) use rows::{Computed, Rows};
pub(crate) use runtime::alone as runtime_alone;
pub(crate) use topics::TopicMetrics;

use requests::RequestFamilies;
use topics::TopicSeries;

/// Where series beyond the limit are counted.
pub(crate) const OTHER: &str = "__other__";
const DROPPED_SERIES: &str = "weir_metrics_dropped_series";
const DROPPED_SERIES_HELP: &str =
    "Rows without series of their own, because there are more than metrics.max.series.per.family.";

/// How fine series are: `metrics.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Cluster,
    Topic,
    Partition,
}

/// What decides how many series there are.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub level: Level,
    /// `metrics.max.series.per.family`
    pub series_max: usize,
}

/// What a process without a broker has, whose keys lack `metrics.max.series.per.family`: the default of that.
const SERIES_MAX: usize = 10_000;

impl Bounds {
    /// The labels that say where, for families of topics.
    pub(crate) fn topic_labels(self) -> &'static [&'static str] {
        match self.level {
            Level::Cluster => &[],
            Level::Topic => &["topic"],
            Level::Partition => &["topic", "partition"],
        }
    }

    /// Their values.
    pub(crate) fn place(self, topic: &Arc<str>, partition: i32) -> Place {
        let topic = (self.level != Level::Cluster).then(|| Arc::clone(topic));
        let partition = (self.level == Level::Partition).then(|| partition.to_string().into());
        Place { topic, partition }
    }
}

/// Where something is, as fine as the level says.
pub(crate) struct Place {
    topic: Option<Arc<str>>,
    partition: Option<Arc<str>>,
}

impl Place {
    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<str>> + Clone {
        self.topic.iter().chain(&self.partition)
    }
}

/// Every family that a broker exports, without its values: for its reference.
pub fn families() -> Result<Vec<Box<dyn Collector>>, Error> {
    let bounds = Bounds { level: Level::Topic, series_max: 1 };
    let metrics = Metrics::new(bounds)?;
    let mut all = metrics.collectors();
    for empty in
        [topics::families, scrape::families, cluster::families, runtime::families, crate::groups::metric_families]
    {
        let described: Result<Vec<_>, Error> = empty(bounds).into_iter().map(Rows::described).collect();
        all.extend(described?);
    }
    all.push(rows::dropped().described()?);
    let (series, seconds) = exposition::own_collectors()?;
    all.push(Box::new(series));
    all.push(Box::new(seconds));
    all.extend(process::families(&process::ProcessUsage::default())?);
    Ok(all)
}

/// From 50 µs to 13 s, by doubling and a half.
fn seconds_buckets() -> Vec<f64> {
    let mut buckets = Vec::new();
    let mut bound = 0.000_05;
    while bound < 14.0 {
        buckets.push(bound);
        bound *= 2.5;
    }
    buckets
}

/// What is counted as it happens.
pub(crate) struct Metrics {
    pub bounds: Bounds,
    topics: TopicSeries,
    requests: RequestFamilies,
    pub log_append_seconds: Histogram,
    pub log_flush_seconds: Histogram,
    pub group_rebalance_seconds: Histogram,
    pub compaction_runs: IntCounter,
    /// Of the partitions that the start opens.
    pub recovery_progress: Gauge,
    /// Time that requests waited for `queued.max.request.bytes`.
    pub throttle_seconds: Counter,
    connections: IntGaugeVec,
    state: IntGauge,
}

impl Metrics {
    pub(crate) fn new(bounds: Bounds) -> Result<Self, Error> {
        let histogram =
            |name: &str, help: &str| Histogram::with_opts(HistogramOpts::new(name, help).buckets(seconds_buckets()));
        Ok(Self {
            bounds,
            topics: TopicSeries::new(bounds),
            requests: RequestFamilies::new()?,
            log_append_seconds: histogram("weir_log_append_seconds", "Time to append to a partition's log.")?,
            log_flush_seconds: histogram("weir_log_flush_seconds", "Time to sync one partition to disk.")?,
            group_rebalance_seconds: histogram(
                "weir_group_rebalance_seconds",
                "Time of a rebalance, from what began it until the group is stable again.",
            )?,
            compaction_runs: IntCounter::new(
                "weir_compaction_runs_total",
                "Compactions of a partition that were put in place.",
            )?,
            recovery_progress: Gauge::new(
                "weir_recovery_progress_ratio",
                "Share of the partitions that are open since the start; 1 once all are.",
            )?,
            throttle_seconds: Counter::new(
                "weir_throttle_seconds_total",
                "Time that requests waited because too many bytes were in flight (queued.max.request.bytes).",
            )?,
            connections: IntGaugeVec::new(
                Opts::new("weir_connections", "Open client connections, by listener."),
                &["listener"],
            )?,
            state: IntGauge::new("weir_broker_state", "2 recovering its logs, 3 running, 7 shutting down.")?,
        })
    }

    /// Fails if the registry holds metrics of these names already: one broker per registry.
    pub(crate) fn register(&self, registry: &Registry) -> Result<(), Error> {
        self.collectors().into_iter().try_for_each(|collector| registry.register(collector))
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let mut all = self.requests.collectors();
        all.push(Box::new(self.log_append_seconds.clone()));
        all.push(Box::new(self.log_flush_seconds.clone()));
        all.push(Box::new(self.group_rebalance_seconds.clone()));
        all.push(Box::new(self.compaction_runs.clone()));
        all.push(Box::new(self.recovery_progress.clone()));
        all.push(Box::new(self.throttle_seconds.clone()));
        all.push(Box::new(self.connections.clone()));
        all.push(Box::new(self.state.clone()));
        all
    }

    /// The counters of a topic, at 0 if it is new.
    pub(crate) fn topic(&self) -> Arc<TopicMetrics> {
        self.topics.topic()
    }

    /// The counters of a partition, of its own or those of its topic.
    pub(crate) fn partition(&self, topic: &Arc<TopicMetrics>) -> Arc<TopicMetrics> {
        self.topics.partition(topic)
    }

    /// What is deleted takes its series with it.
    pub(crate) fn forget(&self, metrics: &TopicMetrics) {
        self.topics.forget(metrics);
    }

    pub(crate) fn api(&self, api: &ApiSpec) -> ApiMetrics {
        self.requests.api(api)
    }

    pub(crate) fn connections(&self, listener: &str) -> IntGauge {
        self.connections.with_label_values(&[listener])
    }

    /// Listeners with their open connections, in order.
    fn connections_by_listener(&self) -> Vec<(String, i64)> {
        let families = self.connections.collect();
        let metrics = families.iter().flat_map(|family| family.get_metric());
        let listeners = metrics.filter_map(|metric| {
            let label = metric.get_label().first()?;
            Some((label.value().to_owned(), metric.get_gauge().get_value() as i64))
        });
        let mut listeners: Vec<_> = listeners.collect();
        listeners.sort_unstable();
        listeners
    }

    pub(crate) fn set_state(&self, state: BrokerState) {
        self.state.set(state as i64);
    }

    fn state(&self) -> i64 {
        self.state.get()
    }

    /// Requests that traces tell of.
    pub(crate) fn exemplars(&self) -> Exemplars {
        self.requests.exemplars()
    }

    /// Computed families.
    pub(crate) fn computed(&self) -> Computed {
        Computed::new(self.bounds)
    }
}
