//! The counters of topics, or of their partitions: as fine as `metrics.level` says, as many as
//! `metrics.max.series.per.family` allows. What is beyond is counted under [`OTHER`], so that sums stay right.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use prometheus::core::Collector;
use prometheus::{Error, IntCounter, IntCounterVec, Opts};

use super::{Bounds, Level, OTHER};

/// Why retention deletes: `retention.ms`, `retention.bytes`, or DeleteRecords before.
const RETENTION_REASONS: [&str; 3] = ["time", "size", "deleted_records"];

/// The families.
pub(super) struct TopicFamilies {
    bounds: Bounds,
    records_in: IntCounterVec,
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    retention_deleted_bytes: IntCounterVec,
    /// Topics, or partitions, that have series of their own; those that have not.
    shown: AtomicUsize,
    dropped: AtomicUsize,
    /// Of topics that are deleted.
    gone: TopicTraffic,
}

/// The counters of one topic, or of one partition.
pub(crate) struct TopicMetrics {
    records_in: IntCounter,
    bytes_in: IntCounter,
    bytes_out_consume: IntCounter,
    retention_deleted_bytes: [IntCounter; RETENTION_REASONS.len()],
    /// `None` where it has no series of its own.
    labels: Option<Vec<String>>,
    /// Because there are too many.
    is_dropped: bool,
    is_forgotten: AtomicBool,
    /// Of the whole topic, whatever the level is.
    pub(super) traffic: Arc<TopicTraffic>,
}

/// What goes in and out of a topic, for names that know no levels.
#[derive(Default)]
pub(super) struct TopicTraffic {
    pub(super) records_in: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) produce_requests: AtomicU64,
    pub(super) failed_produce_requests: AtomicU64,
    pub(super) fetch_requests: AtomicU64,
    pub(super) failed_fetch_requests: AtomicU64,
}

impl TopicFamilies {
    pub(super) fn new(bounds: Bounds) -> Result<Self, Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let mut all = bounds.topic_labels().to_vec();
            all.extend(labels);
            IntCounterVec::new(Opts::new(name, help), &all)
        };
        Ok(Self {
            records_in: counters("weir_records_in_total", "Records appended by clients.", &[])?,
            bytes_in: counters("weir_bytes_in_total", "Bytes of batches appended by clients.", &[])?,
            bytes_out: counters("weir_bytes_out_total", "Bytes of batches sent, by who reads them.", &["kind"])?,
            retention_deleted_bytes: counters(
                "weir_retention_deleted_bytes_total",
                "Bytes deleted by retention: by time, by size, or because DeleteRecords had taken the records.",
                &["reason"],
            )?,
            bounds,
            shown: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            gone: TopicTraffic::default(),
        })
    }

    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let all = [&self.records_in, &self.bytes_in, &self.bytes_out, &self.retention_deleted_bytes];
        all.into_iter().map(|family| Box::new(family.clone()) as Box<dyn Collector>).collect()
    }

    /// Topics or partitions without series of their own, because there are too many.
    pub(super) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Bytes in and out of topics that are deleted.
    pub(super) fn gone_bytes(&self) -> [u64; 2] {
        self.gone.bytes()
    }

    /// The counters of a topic, at 0 if it is new.
    pub(super) fn topic(&self, name: &str) -> Arc<TopicMetrics> {
        match self.bounds.level {
            Level::Cluster | Level::Partition => Arc::new(self.counters(None, false, Arc::default())),
            Level::Topic => self.bounded(vec![name.to_owned()], Arc::default()),
        }
    }

    /// The counters of a partition, of its own or those of its topic.
    pub(super) fn partition(&self, topic: &Arc<TopicMetrics>, name: &str, partition: i32) -> Arc<TopicMetrics> {
        match self.bounds.level {
            Level::Cluster | Level::Topic => Arc::clone(topic),
            Level::Partition => self.bounded(vec![name.to_owned(), partition.to_string()], Arc::clone(&topic.traffic)),
        }
    }

    fn bounded(&self, labels: Vec<String>, traffic: Arc<TopicTraffic>) -> Arc<TopicMetrics> {
        let is_shown = self.shown.fetch_add(1, Ordering::Relaxed) < self.bounds.series_max;
        if !is_shown {
            self.shown.fetch_sub(1, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Arc::new(self.counters(is_shown.then_some(labels), !is_shown, traffic))
    }

    fn counters(&self, labels: Option<Vec<String>>, is_dropped: bool, traffic: Arc<TopicTraffic>) -> TopicMetrics {
        let own: Vec<&str> = match &labels {
            Some(labels) => labels.iter().map(String::as_str).collect(),
            None => self.bounds.topic_labels().iter().map(|_| OTHER).collect(),
        };
        let with = |more: &'static str| [&own[..], &[more]].concat();
        TopicMetrics {
            records_in: self.records_in.with_label_values(&own),
            bytes_in: self.bytes_in.with_label_values(&own),
            bytes_out_consume: self.bytes_out.with_label_values(&with("consume")),
            retention_deleted_bytes: RETENTION_REASONS
                .map(|reason| self.retention_deleted_bytes.with_label_values(&with(reason))),
            labels,
            is_dropped,
            is_forgotten: AtomicBool::new(false),
            traffic,
        }
    }

    /// What is deleted takes its series with it. Does nothing the second time.
    pub(super) fn forget(&self, metrics: &TopicMetrics) {
        if metrics.is_forgotten.swap(true, Ordering::Relaxed) {
            return;
        }
        // Partitions share it with their topic: it is taken once.
        let traffic = &metrics.traffic;
        for (gone, of_it) in [(&self.gone.bytes_in, &traffic.bytes_in), (&self.gone.bytes_out, &traffic.bytes_out)] {
            gone.fetch_add(of_it.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
        let Some(labels) = &metrics.labels else {
            if metrics.is_dropped {
                self.dropped.fetch_sub(1, Ordering::Relaxed);
            }
            return;
        };
        self.shown.fetch_sub(1, Ordering::Relaxed);
        let own: Vec<&str> = labels.iter().map(String::as_str).collect();
        let with = |more: &'static str| [&own[..], &[more]].concat();
        // All of them are there: they were made together.
        let _ = self.records_in.remove_label_values(&own);
        let _ = self.bytes_in.remove_label_values(&own);
        let _ = self.bytes_out.remove_label_values(&with("consume"));
        for reason in RETENTION_REASONS {
            let _ = self.retention_deleted_bytes.remove_label_values(&with(reason));
        }
    }
}

impl TopicTraffic {
    /// In and out.
    pub(super) fn bytes(&self) -> [u64; 2] {
        [&self.bytes_in, &self.bytes_out].map(|bytes| bytes.load(Ordering::Relaxed))
    }
}

impl TopicMetrics {
    /// Clients appended records.
    pub(crate) fn appended(&self, records: u64, bytes: u64) {
        self.records_in.inc_by(records);
        self.bytes_in.inc_by(bytes);
        self.traffic.records_in.fetch_add(records, Ordering::Relaxed);
        self.traffic.bytes_in.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A consumer is sent bytes of batches.
    pub(crate) fn sent(&self, bytes: u64) {
        self.bytes_out_consume.inc_by(bytes);
        self.traffic.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A client asked for an append to one of its partitions.
    pub(crate) fn asked_to_append(&self, is_done: bool) {
        self.traffic.produce_requests.fetch_add(1, Ordering::Relaxed);
        self.traffic.failed_produce_requests.fetch_add(u64::from(!is_done), Ordering::Relaxed);
    }

    /// A client asked for records of one of its partitions.
    pub(crate) fn asked_to_read(&self, is_done: bool) {
        self.traffic.fetch_requests.fetch_add(1, Ordering::Relaxed);
        self.traffic.failed_fetch_requests.fetch_add(u64::from(!is_done), Ordering::Relaxed);
    }

    pub(crate) fn retention_deleted(&self, by_time: u64, by_size: u64, deleted_records: u64) {
        for (counter, bytes) in self.retention_deleted_bytes.iter().zip([by_time, by_size, deleted_records]) {
            counter.inc_by(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(level: Level, series_max: usize) -> TopicFamilies {
        TopicFamilies::new(Bounds { level, series_max }).unwrap()
    }

    /// Label values and value of each series of records_in, in order.
    fn series(families: &TopicFamilies) -> Vec<(String, u64)> {
        let collected = families.records_in.collect();
        let shown = collected[0].get_metric().iter().map(|metric| {
            let labels: Vec<&str> = metric.get_label().iter().map(|label| label.value()).collect();
            (labels.join("/"), metric.get_counter().get_value() as u64)
        });
        let mut shown: Vec<_> = shown.collect();
        shown.sort();
        shown
    }

    #[test]
    fn the_level_says_how_fine_it_is_and_sums_stay_the_same() {
        for (level, expected) in [
            (Level::Cluster, vec![("", 6)]),
            (Level::Topic, vec![("a", 3), ("b", 3)]),
            // Labels come sorted by their names: partition, topic.
            (Level::Partition, vec![("0/a", 1), ("0/b", 1), ("1/a", 2), ("1/b", 2), ("__other__/__other__", 0)]),
        ] {
            let families = families(level, 100);
            for name in ["a", "b"] {
                let topic = families.topic(name);
                for partition in 0..2 {
                    families.partition(&topic, name, partition).records_in.inc_by(partition as u64 + 1);
                }
            }
            let expected: Vec<(String, u64)> = expected.into_iter().map(|(at, count)| (at.to_owned(), count)).collect();
            assert_eq!(series(&families), expected, "{level:?}");
        }
    }

    #[test]
    fn the_traffic_of_a_topic_is_counted_whatever_the_level_is() {
        for level in [Level::Cluster, Level::Topic, Level::Partition] {
            let families = families(level, 1);
            let topics = ["a", "b"].map(|name| families.topic(name));
            for (topic, name) in topics.iter().zip(["a", "b"]) {
                (0..2).for_each(|partition| families.partition(topic, name, partition).appended(3, 100));
            }
            for topic in &topics {
                assert_eq!(topic.traffic.records_in.load(Ordering::Relaxed), 6, "{level:?}");
                assert_eq!(topic.traffic.bytes_in.load(Ordering::Relaxed), 200, "{level:?}");
            }
        }
    }

    #[test]
    fn the_bytes_of_a_deleted_topic_are_kept_once_for_the_brokers_own_sum() {
        for level in [Level::Cluster, Level::Topic, Level::Partition] {
            let families = families(level, 10);
            let topic = families.topic("a");
            let partitions = [0, 1].map(|partition| families.partition(&topic, "a", partition));
            partitions.iter().for_each(|partition| partition.appended(1, 100));
            partitions[0].sent(30);
            partitions.iter().chain([&topic]).for_each(|metrics| families.forget(metrics));
            assert_eq!((families.gone_bytes(), topic.traffic.bytes()), ([200, 30], [0, 0]), "{level:?}");
        }
    }

    #[test]
    fn what_is_beyond_the_limit_is_counted_together_and_room_is_given_back() {
        let families = families(Level::Topic, 2);
        let topics: Vec<_> = ["a", "b", "c", "d"].into_iter().map(|name| families.topic(name)).collect();
        topics.iter().for_each(|topic| topic.records_in.inc());
        assert_eq!(series(&families), [("__other__".to_owned(), 2), ("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert_eq!(families.dropped(), 2);
        families.forget(&topics[0]);
        families.forget(&topics[0]);
        families.forget(&topics[3]);
        assert_eq!(families.dropped(), 1);
        families.topic("e").records_in.inc();
        families.topic("f").records_in.inc();
        assert_eq!(series(&families), [("__other__".to_owned(), 3), ("b".to_owned(), 1), ("e".to_owned(), 1)],);
    }

    #[test]
    fn partitions_that_had_no_series_are_not_counted_once_they_are_gone() {
        let families = families(Level::Partition, 2);
        let topic = families.topic("a");
        let partitions: Vec<_> = (0..5).map(|index| families.partition(&topic, "a", index)).collect();
        assert_eq!(families.dropped(), 3);
        partitions.iter().for_each(|partition| families.forget(partition));
        families.forget(&topic);
        assert_eq!(families.dropped(), 0);
    }
}
