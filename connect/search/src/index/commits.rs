//! Commits as they happen, and what waits for one.
//!
//! Shards tell it. Nothing here waits for a shard, so that it can be asked while a commit hangs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Histogram, HistogramOpts, IntCounterVec, Opts};

use super::name::ShardName;

/// Seconds: most commits take less than one, and one that meets a bad disk minutes.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

pub(crate) struct Commits {
    seconds: Histogram,
    failures: IntCounterVec,
    uncommitted_age: GaugeVec,
    waiting: Mutex<Waiting>,
}

/// Since when documents of shards wait, by index and shard. An index stays while nothing of it waits.
type Waiting = BTreeMap<String, BTreeMap<String, Instant>>;

impl Commits {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let seconds = HistogramOpts::new(
            "weir_index_commit_seconds",
            "Time of a commit of a shard that succeeded, until it is on disk and visible.",
        );
        Ok(Self {
            seconds: Histogram::with_opts(seconds.buckets(BUCKETS.to_vec()))?,
            failures: IntCounterVec::new(
                Opts::new("weir_index_commit_failures_total", "Commits that failed; their documents are sent again."),
                &["index"],
            )?,
            uncommitted_age: GaugeVec::new(
                Opts::new(
                    "weir_index_uncommitted_age_seconds",
                    "How long ago the oldest document came that is not committed, so that searches do not find it; 0 when all are.",
                ),
                &["index"],
            )?,
            waiting: Mutex::default(),
        })
    }

    /// There is a shard of that name.
    pub(super) fn know(&self, shard: &ShardName) {
        self.failures.with_label_values(&[shard.base()]);
        self.waiting().entry(shard.base().to_owned()).or_default();
    }

    /// Documents of the shard wait since then, if they did not already.
    pub(super) fn wait(&self, shard: &ShardName, since: Instant) {
        let mut waiting = self.waiting();
        waiting.entry(shard.base().to_owned()).or_default().entry(shard.as_str().to_owned()).or_insert(since);
    }

    /// No document of the shard waits any more: it is committed, or lost.
    pub(super) fn over(&self, shard: &ShardName) {
        if let Some(shards) = self.waiting().get_mut(shard.base()) {
            shards.remove(shard.as_str());
        }
    }

    pub(super) fn succeeded(&self, shard: &ShardName, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        self.over(shard);
    }

    pub(super) fn failed(&self, shard: &ShardName) {
        self.failures.with_label_values(&[shard.base()]).inc();
    }

    /// Drops the series of indexes that are gone.
    pub(crate) fn keep_indexes(&self, exists: impl Fn(&str) -> bool) {
        self.waiting().retain(|index, _| {
            let is_kept = exists(index);
            if !is_kept {
                let _ = self.failures.remove_label_values(&[index]);
                let _ = self.uncommitted_age.remove_label_values(&[index]);
            }
            is_kept
        });
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What registries hold of it.
pub(crate) struct CommitsCollector(pub(crate) Arc<Commits>);

impl Collector for CommitsCollector {
    fn desc(&self) -> Vec<&Desc> {
        let Commits { seconds, failures, uncommitted_age, .. } = &*self.0;
        [seconds.desc(), failures.desc(), uncommitted_age.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Commits { seconds, failures, uncommitted_age, .. } = &*self.0;
        for (index, shards) in self.0.waiting().iter() {
            let age = shards.values().min().map_or(Duration::ZERO, Instant::elapsed);
            uncommitted_age.with_label_values(&[index]).set(age.as_secs_f64());
        }
        [seconds.collect(), failures.collect(), uncommitted_age.collect()].concat()
    }
}
