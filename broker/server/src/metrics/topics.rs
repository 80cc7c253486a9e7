//! What goes in and out of topics, or of their partitions: as fine as `metrics.level` says, as many as
//! `metrics.max.series.per.family` allows. What is beyond is counted under [`OTHER`], so that sums stay right.
//!
//! Invariants: whoever has a series keeps it until it is deleted; a sum over several never falls, not even when one of them is
//! deleted. Counting takes no lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Bounds, Level, OTHER, Place, Rows};
use crate::partition::Topic;

/// Why retention deletes: `retention.ms`, `retention.bytes`, or DeleteRecords before.
const RETENTION_REASONS: [&str; 3] = ["time", "size", "deleted_records"];
/// Who reads.
const CONSUMERS: &str = "consume";

/// Who has series, and what became of those that are gone.
pub(super) struct TopicSeries {
    bounds: Bounds,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Topics, or partitions, that have series of their own; those that have not, because there are too many.
    shown: usize,
    dropped: usize,
    /// In and out of topics that are deleted.
    gone_bytes: [u64; 2],
    /// Of what is deleted, as far as it was counted in a sum over several.
    gone: Counts,
}

/// The counters of one topic, or of one partition.
#[derive(Default)]
pub(crate) struct TopicMetrics {
    counters: Counters,
    /// Those of the topic, for a partition that has counters of its own.
    topic: Option<Arc<TopicMetrics>>,
    series: Series,
    is_forgotten: AtomicBool,
}

/// What counts at that level, once each.
pub(super) fn counted(bounds: Bounds, topics: &[Arc<Topic>]) -> impl Iterator<Item = (Place, &TopicMetrics)> {
    topics.iter().flat_map(move |topic| {
        // Above their own level, partitions have the counters of their topic.
        let count = if bounds.level == Level::Partition { topic.partitions.len() } else { 1 };
        let partitions = topic.partitions.iter().take(count);
        partitions.map(move |at| (bounds.place(&topic.name, at.name.partition), &*at.metrics))
    })
}

/// Where counters are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Series {
    /// Its partitions have series.
    #[default]
    None,
    Own,
    /// In a sum: at the level of the cluster, or because there are too many.
    Shared,
}

/// What is counted.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) records_in: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    retention_deleted_bytes: [AtomicU64; RETENTION_REASONS.len()],
    pub(super) produce_requests: AtomicU64,
    pub(super) failed_produce_requests: AtomicU64,
    pub(super) fetch_requests: AtomicU64,
    pub(super) failed_fetch_requests: AtomicU64,
}

/// What is shown of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    records_in: u64,
    bytes_in: u64,
    bytes_out: u64,
    retention_deleted_bytes: [u64; RETENTION_REASONS.len()],
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.records_in += other.records_in;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        for (sum, bytes) in self.retention_deleted_bytes.iter_mut().zip(other.retention_deleted_bytes) {
            *sum += bytes;
        }
    }
}

impl Counters {
    fn read(&self) -> Counts {
        Counts {
            records_in: self.records_in.load(Ordering::Relaxed),
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            retention_deleted_bytes: self.retention_deleted_bytes.each_ref().map(|bytes| bytes.load(Ordering::Relaxed)),
        }
    }
}

impl TopicSeries {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters of a topic, at 0 if it is new.
    pub(super) fn topic(&self) -> Arc<TopicMetrics> {
        let series = match self.bounds.level {
            Level::Cluster => Series::Shared,
            Level::Topic => self.room(),
            Level::Partition => Series::None,
        };
        Arc::new(TopicMetrics { series, ..TopicMetrics::default() })
    }

    /// The counters of a partition, of its own or those of its topic.
    pub(super) fn partition(&self, topic: &Arc<TopicMetrics>) -> Arc<TopicMetrics> {
        match self.bounds.level {
            Level::Cluster | Level::Topic => Arc::clone(topic),
            Level::Partition => {
                let topic = Some(Arc::clone(topic));
                Arc::new(TopicMetrics { series: self.room(), topic, ..TopicMetrics::default() })
            }
        }
    }

    fn room(&self) -> Series {
        let mut kept = self.kept();
        if kept.shown < self.bounds.series_max {
            kept.shown += 1;
            Series::Own
        } else {
            kept.dropped += 1;
            Series::Shared
        }
    }

    /// What is deleted takes its series with it: from now on it is not counted. Does nothing the second time.
    pub(super) fn forget(&self, metrics: &TopicMetrics) {
        let mut kept = self.kept();
        if metrics.is_forgotten.swap(true, Ordering::Relaxed) {
            return;
        }
        let counts = metrics.counters.read();
        match metrics.series {
            Series::None => {}
            Series::Own => kept.shown -= 1,
            Series::Shared => {
                kept.gone.add(&counts);
                kept.dropped -= usize::from(self.bounds.level != Level::Cluster);
            }
        }
        if metrics.topic.is_none() {
            let [gone_in, gone_out] = &mut kept.gone_bytes;
            *gone_in += counts.bytes_in;
            *gone_out += counts.bytes_out;
        }
    }

    /// In and out of this broker since its start.
    pub(super) fn bytes<'a>(&self, topics: impl IntoIterator<Item = &'a TopicMetrics>) -> [u64; 2] {
        let kept = self.kept();
        let there = topics.into_iter().filter(|topic| !topic.is_forgotten()).map(|topic| topic.counters.read());
        there.fold(kept.gone_bytes, |[i, o], counts| [i + counts.bytes_in, o + counts.bytes_out])
    }

    /// The families. What counts comes once, with where it is.
    pub(super) fn read<'a>(&self, all: impl IntoIterator<Item = (Place, &'a TopicMetrics)>) -> Vec<Rows> {
        let kept = self.kept();
        let mut rows = TopicRows::new(self.bounds);
        let mut shared = kept.gone;
        for (place, metrics) in all.into_iter().filter(|(_, metrics)| !metrics.is_forgotten()) {
            let counts = metrics.counters.read();
            match metrics.series {
                Series::None => {}
                Series::Shared => shared.add(&counts),
                Series::Own => rows.add(place.values(), &counts),
            }
        }
        if self.bounds.level == Level::Cluster || kept.dropped > 0 || shared != Counts::default() {
            let others: Vec<_> = self.bounds.topic_labels().iter().map(|_| OTHER.into()).collect();
            rows.add(others.iter(), &shared);
            rows.records_in.left_out(kept.dropped);
        }
        rows.into_rows()
    }
}

/// All of them, empty.
pub(super) fn families(bounds: Bounds) -> Vec<Rows> {
    TopicRows::new(bounds).into_rows()
}

struct TopicRows {
    consumers: Arc<str>,
    reasons: [Arc<str>; RETENTION_REASONS.len()],
    records_in: Rows,
    bytes_in: Rows,
    bytes_out: Rows,
    retention_deleted_bytes: Rows,
}

impl TopicRows {
    fn new(bounds: Bounds) -> Self {
        let counter = |name, more: &[&'static str], help| {
            Rows::counter(name, &[bounds.topic_labels(), more].concat(), help).chosen()
        };
        Self {
            consumers: CONSUMERS.into(),
            reasons: RETENTION_REASONS.map(Arc::from),
            records_in: counter("weir_records_in_total", &[], "Records appended by clients."),
            bytes_in: counter("weir_bytes_in_total", &[], "Bytes of batches appended by clients."),
            bytes_out: counter("weir_bytes_out_total", &["kind"], "Bytes of batches sent, by who reads them."),
            retention_deleted_bytes: counter(
                "weir_retention_deleted_bytes_total",
                &["reason"],
                "Bytes deleted by retention: by time, by size, or because DeleteRecords had taken the records.",
            ),
        }
    }

    fn add<'a>(&mut self, place: impl Iterator<Item = &'a Arc<str>> + Clone, counts: &Counts) {
        self.records_in.add(place.clone(), counts.records_in as f64);
        self.bytes_in.add(place.clone(), counts.bytes_in as f64);
        let place: Vec<_> = place.cloned().collect();
        self.bytes_out.add(place.iter().chain([&self.consumers]), counts.bytes_out as f64);
        for (reason, bytes) in self.reasons.iter().zip(counts.retention_deleted_bytes) {
            self.retention_deleted_bytes.add(place.iter().chain([reason]), bytes as f64);
        }
    }

    fn into_rows(self) -> Vec<Rows> {
        vec![self.records_in, self.bytes_in, self.bytes_out, self.retention_deleted_bytes]
    }
}

impl TopicMetrics {
    /// Of the whole topic, whatever the level is.
    pub(super) fn of_topic(&self) -> &Counters {
        self.topic.as_deref().map_or(&self.counters, |topic| &topic.counters)
    }

    /// All that counts what happens here.
    fn count(&self, count: impl Fn(&Counters)) {
        count(&self.counters);
        if let Some(topic) = &self.topic {
            count(&topic.counters);
        }
    }

    fn is_forgotten(&self) -> bool {
        self.is_forgotten.load(Ordering::Relaxed)
    }

    /// Clients appended records.
    pub(crate) fn appended(&self, records: u64, bytes: u64) {
        self.count(|counters| {
            counters.records_in.fetch_add(records, Ordering::Relaxed);
            counters.bytes_in.fetch_add(bytes, Ordering::Relaxed);
        });
    }

    /// A consumer is sent bytes of batches.
    pub(crate) fn sent(&self, bytes: u64) {
        self.count(|counters| _ = counters.bytes_out.fetch_add(bytes, Ordering::Relaxed));
    }

    /// A client asked for an append to one of its partitions.
    pub(crate) fn asked_to_append(&self, is_done: bool) {
        let topic = self.of_topic();
        topic.produce_requests.fetch_add(1, Ordering::Relaxed);
        topic.failed_produce_requests.fetch_add(u64::from(!is_done), Ordering::Relaxed);
    }

    /// A client asked for records of one of its partitions.
    pub(crate) fn asked_to_read(&self, is_done: bool) {
        let topic = self.of_topic();
        topic.fetch_requests.fetch_add(1, Ordering::Relaxed);
        topic.failed_fetch_requests.fetch_add(u64::from(!is_done), Ordering::Relaxed);
    }

    pub(crate) fn retention_deleted(&self, by_time: u64, by_size: u64, deleted_records: u64) {
        self.count(|counters| {
            for (counter, bytes) in counters.retention_deleted_bytes.iter().zip([by_time, by_size, deleted_records]) {
                counter.fetch_add(bytes, Ordering::Relaxed);
            }
        });
    }
}

#[cfg(test)]
mod tests;
