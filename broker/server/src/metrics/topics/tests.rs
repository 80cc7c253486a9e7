//! What is shown of topics and partitions, at each level.

use super::*;
use crate::metrics::page::{Page, Room};

/// Topics or partitions in the order of their making.
struct Made {
    series: TopicSeries,
    all: Vec<(Place, Arc<TopicMetrics>)>,
}

impl Made {
    fn new(level: Level, series_max: usize) -> Self {
        Self { series: TopicSeries::new(Bounds { level, series_max }), all: Vec::new() }
    }

    fn topic(&mut self, name: &str, partitions: i32) -> Vec<Arc<TopicMetrics>> {
        let (topic, bounds) = (self.series.topic(), self.series.bounds);
        let metrics: Vec<_> = (0..partitions).map(|_| self.series.partition(&topic)).collect();
        let count = if bounds.level == Level::Partition { metrics.len() } else { 1 };
        let places = (0..).map(|index| bounds.place(&name.into(), index));
        self.all.extend(places.zip(metrics.iter().cloned()).take(count));
        metrics
    }

    fn page(&self) -> (String, usize) {
        let rows = self.series.read(self.all.iter().map(|(place, metrics)| {
            let values: Vec<_> = place.values().cloned().collect();
            (Place { topic: values.first().cloned(), partition: values.get(1).cloned() }, &**metrics)
        }));
        let mut page = Page::new(self.series.bounds.series_max, &Room::default());
        rows.into_iter().for_each(|rows| rows.write(&mut page));
        let dropped = page.dropped;
        (page.finish().text, dropped)
    }

    /// Of a family: label values and value of each series.
    fn shown(&self, family: &str) -> Vec<(String, u64)> {
        let page = self.page().0;
        let lines = page.lines().filter_map(|line| line.strip_prefix(family));
        let shown = lines.map(|line| {
            let (labels, value) = line.rsplit_once(' ').unwrap();
            let values: Vec<_> = labels.split('"').skip(1).step_by(2).collect();
            (values.join("/"), value.parse().unwrap())
        });
        shown.collect()
    }
}

fn owned(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(at, count)| ((*at).to_owned(), *count)).collect()
}

const RECORDS: &str = "weir_records_in_total";

#[test]
fn the_level_says_how_fine_it_is_and_sums_stay_the_same() {
    for (level, expected) in [
        (Level::Cluster, &[("", 6)][..]),
        (Level::Topic, &[("a", 3), ("b", 3)]),
        (Level::Partition, &[("a/0", 1), ("a/1", 2), ("b/0", 1), ("b/1", 2)]),
    ] {
        let mut made = Made::new(level, 100);
        for name in ["a", "b"] {
            (1..).zip(made.topic(name, 2)).for_each(|(count, partition)| partition.appended(count, 10));
        }
        assert_eq!(made.shown(RECORDS), owned(expected), "{level:?}");
        assert_eq!(made.page().1, 0);
    }
}

#[test]
fn every_way_out_and_every_reason_has_a_series() {
    let mut made = Made::new(Level::Topic, 1);
    for name in ["a", "b"] {
        let topic = made.topic(name, 1).remove(0);
        topic.sent(5);
        topic.retention_deleted(1, 2, 3);
    }
    assert_eq!(made.shown("weir_bytes_out_total"), owned(&[("__other__/consume", 5), ("a/consume", 5)]));
    let reasons = made.shown("weir_retention_deleted_bytes_total");
    let of = |topic: &str| RETENTION_REASONS.map(|reason| format!("{topic}/{reason}"));
    assert_eq!(reasons.len(), 6);
    for (name, bytes) in ["__other__", "a"].into_iter().flat_map(|topic| of(topic).into_iter().zip(1..)) {
        assert!(reasons.contains(&(name.clone(), bytes)), "{name}: {reasons:?}");
    }
}

#[test]
fn the_traffic_of_a_topic_is_counted_whatever_the_level_is() {
    for level in [Level::Cluster, Level::Topic, Level::Partition] {
        let mut made = Made::new(level, 1);
        for name in ["a", "b"] {
            let partitions = made.topic(name, 2);
            partitions.iter().for_each(|partition| partition.appended(3, 100));
            let topic = partitions[0].of_topic();
            assert_eq!(topic.records_in.load(Ordering::Relaxed), 6, "{level:?}");
            assert_eq!(topic.bytes_in.load(Ordering::Relaxed), 200, "{level:?}");
        }
    }
}

#[test]
fn the_bytes_of_a_deleted_topic_are_kept_once_for_the_brokers_own_sum() {
    for level in [Level::Cluster, Level::Topic, Level::Partition] {
        let series = TopicSeries::new(Bounds { level, series_max: 10 });
        let topic = series.topic();
        let partitions = [0, 1].map(|_| series.partition(&topic));
        partitions.iter().for_each(|partition| partition.appended(1, 100));
        partitions[0].sent(30);
        assert_eq!(series.bytes([&*topic]), [200, 30], "{level:?}");
        partitions.iter().chain([&topic]).for_each(|metrics| series.forget(metrics));
        assert_eq!(series.bytes([&*topic]), [200, 30], "{level:?}: gone, and somebody still has it");
        assert_eq!(series.bytes([]), [200, 30], "{level:?}");
    }
}

#[test]
fn what_is_beyond_the_limit_is_counted_together_and_room_is_given_back() {
    let mut made = Made::new(Level::Topic, 2);
    let topics = ["a", "b", "c", "d"].map(|name| made.topic(name, 1).remove(0));
    topics.iter().for_each(|topic| topic.appended(1, 1));
    assert_eq!(made.shown(RECORDS), owned(&[("__other__", 2), ("a", 1), ("b", 1)]));
    assert_eq!(made.page().1, 2);
    for gone in [&topics[0], &topics[0], &topics[3]] {
        made.series.forget(gone);
    }
    assert_eq!(made.page().1, 1);
    for name in ["e", "f"] {
        made.topic(name, 1).remove(0).appended(1, 1);
    }
    assert_eq!(made.shown(RECORDS), owned(&[("__other__", 3), ("b", 1), ("e", 1)]));
}

#[test]
fn a_sum_does_not_fall_when_a_part_of_it_is_deleted() {
    let mut made = Made::new(Level::Cluster, 1);
    let topics = ["a", "b"].map(|name| made.topic(name, 1).remove(0));
    topics.iter().for_each(|topic| topic.appended(2, 1));
    made.series.forget(&topics[0]);
    // What still comes is nobody's.
    topics[0].appended(7, 1);
    assert_eq!(made.shown(RECORDS), owned(&[("", 4)]));
}

#[test]
fn partitions_that_had_no_series_are_not_counted_once_they_are_gone() {
    let mut made = Made::new(Level::Partition, 2);
    let partitions = made.topic("a", 5);
    assert_eq!(made.page().1, 3);
    partitions.iter().for_each(|partition| made.series.forget(partition));
    assert_eq!(made.page().1, 0);
}
