//! How far a task is behind, by what its consumer has heard: also while the task is stuck in a call into its sink.
//!
//! How long a record waits counts from when the broker appended it, where the topic's records say that
//! (`message.timestamp.type=LogAppendTime`). Elsewhere a client cannot know it: the timestamps are the producers', which may be
//! years old. There it counts from when the task first heard that the record is there.
//!
//! Asks no clock: times are milliseconds since 1970, as they are passed in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use weir_connect_api::{Offsets, TopicPartition};

/// Ends that are remembered. At more, every second one is forgotten, and from then on they are taken half as often.
const LOOKS_MAX: usize = 512;
/// How often they are taken at first.
const SPACING_MS: i64 = 500;

/// Of the partitions that a task has. The consumer's thread says what there is, the task what is written.
#[derive(Debug, Default)]
pub(super) struct Lags {
    partitions: Mutex<BTreeMap<TopicPartition, PartitionLag>>,
}

impl Lags {
    /// From now on the task has these, written up to there.
    pub(super) fn begin(&self, partitions: Vec<TopicPartition>, durable: &Offsets) {
        let begins = |place: TopicPartition| {
            let lag = PartitionLag::beginning_at(durable.get(&place).copied());
            (place, lag)
        };
        *self.partitions() = partitions.into_iter().map(begins).collect();
    }

    /// The task has none any more.
    pub(super) fn end(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut *self.partitions()).into_keys().collect()
    }

    pub(super) fn heard(&self, ends: &Offsets, now_ms: i64) {
        self.each(ends, |lag, end_offset| lag.heard(*end_offset, now_ms));
    }

    pub(super) fn read(&self, spans: &BTreeMap<TopicPartition, Span>) {
        self.each(spans, |lag, span| lag.read(*span));
    }

    pub(super) fn written(&self, durable: &Offsets) {
        self.each(durable, |lag, offset| lag.written(*offset));
    }

    fn each<T>(&self, values: &BTreeMap<TopicPartition, T>, note: impl Fn(&mut PartitionLag, &T)) {
        let mut partitions = self.partitions();
        for (place, value) in values {
            if let Some(lag) = partitions.get_mut(place) {
                note(lag, value);
            }
        }
    }

    /// Records of each partition that are not known to be written, and how long the oldest has waited.
    pub(super) fn now(&self, now_ms: i64) -> Vec<(TopicPartition, i64, i64)> {
        let partitions = self.partitions();
        partitions.iter().map(|(place, lag)| (place.clone(), lag.records(), lag.wait_ms(now_ms))).collect()
    }

    fn partitions(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, PartitionLag>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records of one partition that were read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub first_offset: i64,
    /// Exclusive.
    pub end_offset: i64,
    /// When the broker appended the first one, if the topic's records say that.
    pub append_ms: Option<i64>,
    pub read_ms: i64,
}

/// An end of the partition.
#[derive(Debug, Clone, Copy)]
struct Look {
    end_offset: i64,
    /// When it was first heard that there are records up to there.
    since_ms: i64,
}

#[derive(Debug)]
struct PartitionLag {
    /// Exclusive end of what is written; unknown until something is read, if the sink does not say.
    durable: Option<i64>,
    /// Ends past what is written, rising.
    looks: VecDeque<Look>,
    spacing_ms: i64,
    /// Offset and append time of the first record that is not written; until that is read, of one before it.
    appended: Option<(i64, i64)>,
}

impl PartitionLag {
    fn beginning_at(durable: Option<i64>) -> Self {
        Self { durable, looks: VecDeque::new(), spacing_ms: SPACING_MS, appended: None }
    }

    /// There are records up to `end_offset`, and no more.
    fn heard(&mut self, end_offset: i64, now_ms: i64) {
        let mut since_ms = now_ms;
        // What was an end before can be none for a reader: markers of transactions are no records.
        while let Some(last) = self.looks.pop_back_if(|last| last.end_offset >= end_offset) {
            since_ms = last.since_ms;
        }
        if self.durable.is_some_and(|durable| durable >= end_offset) {
            return self.forget_written();
        }
        match self.looks.back_mut() {
            Some(last) if since_ms - last.since_ms < self.spacing_ms => last.end_offset = end_offset,
            _ => self.looks.push_back(Look { end_offset, since_ms }),
        }
        if self.looks.len() > LOOKS_MAX {
            self.thin();
        }
    }

    fn read(&mut self, span: Span) {
        let durable = *self.durable.get_or_insert(span.first_offset);
        if let Some(append_ms) = span.append_ms
            && self.appended.is_none_or(|(offset, _)| offset < durable)
        {
            self.appended = Some((span.first_offset, append_ms));
        }
        if self.looks.back().is_none_or(|last| last.end_offset < span.end_offset) {
            self.heard(span.end_offset, span.read_ms);
        }
    }

    /// Everything before `durable` is written.
    fn written(&mut self, durable: i64) {
        self.durable = Some(durable);
        self.forget_written();
    }

    /// Records that are not known to be written.
    fn records(&self) -> i64 {
        let end = self.looks.back().map(|last| last.end_offset);
        end.zip(self.durable).map_or(0, |(end, durable)| (end - durable).max(0))
    }

    /// How long the oldest of them has waited; 0 without any.
    fn wait_ms(&self, now_ms: i64) -> i64 {
        let Some(first) = self.looks.front().filter(|_| self.durable.is_some()) else { return 0 };
        let since_ms = self.appended.map_or(first.since_ms, |(_, append_ms)| append_ms);
        (now_ms - since_ms).max(0)
    }

    fn forget_written(&mut self) {
        while self.looks.pop_front_if(|first| self.durable.is_some_and(|durable| first.end_offset <= durable)).is_some()
        {
        }
        if self.looks.is_empty() {
            self.appended = None;
            self.spacing_ms = SPACING_MS;
        }
    }

    /// Forgets every second end. What a record is wrong by is the spacing: it counts as heard of with those before.
    fn thin(&mut self) {
        let thinned = self
            .looks
            .make_contiguous()
            .chunks(2)
            .map(|pair| Look { end_offset: pair[pair.len() - 1].end_offset, since_ms: pair[0].since_ms });
        self.looks = thinned.collect();
        self.spacing_ms *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS_MS: i64 = 3 * 86_400_000;

    fn span(offsets: std::ops::Range<i64>, append_ms: Option<i64>, read_ms: i64) -> Span {
        Span { first_offset: offsets.start, end_offset: offsets.end, append_ms, read_ms }
    }

    #[test]
    fn a_record_waits_since_the_task_first_heard_of_it() {
        let mut lag = PartitionLag::beginning_at(Some(0));
        assert_eq!((lag.records(), lag.wait_ms(DAYS_MS)), (0, 0));
        lag.heard(10, 1_000);
        lag.heard(10, 2_000);
        lag.read(span(0..10, None, 2_500));
        assert_eq!((lag.records(), lag.wait_ms(4_000)), (10, 3_000));
        lag.read(span(10..30, None, 5_000));
        assert_eq!((lag.records(), lag.wait_ms(6_000)), (30, 5_000));
        // The oldest one left was first heard of at 5 s.
        lag.written(10);
        assert_eq!((lag.records(), lag.wait_ms(6_000)), (20, 1_000));
        lag.written(30);
        assert_eq!((lag.records(), lag.wait_ms(9_000)), (0, 0));
    }

    #[test]
    fn where_records_tell_when_they_were_appended_that_counts() {
        let mut lag = PartitionLag::beginning_at(Some(0));
        let now = DAYS_MS;
        lag.heard(20, now);
        lag.read(span(0..10, Some(now - 60_000), now));
        lag.read(span(10..20, Some(now - 30_000), now));
        assert_eq!(lag.wait_ms(now), 60_000);
        // Until the next one is read, nothing better is known than that it came after the one before.
        lag.written(10);
        assert_eq!(lag.wait_ms(now), 60_000);
        lag.read(span(20..30, Some(now - 20_000), now));
        assert_eq!(lag.wait_ms(now), 20_000);
        lag.written(30);
        // Long after, the next record comes: it has not waited since the one before it.
        lag.heard(31, now + DAYS_MS);
        assert_eq!(lag.wait_ms(now + DAYS_MS), 0);
    }

    #[test]
    fn where_a_task_begins_is_known_once_it_reads_if_the_sink_does_not_say() {
        let mut lag = PartitionLag::beginning_at(None);
        lag.heard(1_000, 1_000);
        assert_eq!((lag.records(), lag.wait_ms(2_000)), (0, 0));
        lag.read(span(900..950, None, 3_000));
        assert_eq!((lag.records(), lag.wait_ms(4_000)), (100, 3_000));
    }

    #[test]
    fn an_end_that_was_only_a_marker_is_none() {
        let mut lag = PartitionLag::beginning_at(Some(99));
        lag.heard(100, 1_000);
        assert_eq!(lag.records(), 1);
        lag.heard(99, 2_000);
        assert_eq!((lag.records(), lag.wait_ms(3_000)), (0, 0));
        lag.heard(110, 4_000);
        lag.heard(105, 5_000);
        assert_eq!((lag.records(), lag.wait_ms(6_000)), (6, 2_000));
    }

    #[test]
    fn a_task_that_stands_still_for_a_day_remembers_little_and_tells_no_less() {
        let mut lag = PartitionLag::beginning_at(Some(0));
        (0..86_400).for_each(|second| lag.heard(second + 1, second * 1_000));
        assert!(lag.looks.len() <= LOOKS_MAX, "{}", lag.looks.len());
        assert_eq!((lag.records(), lag.wait_ms(86_400_000)), (86_400, 86_400_000));
        lag.written(43_200);
        let waited_ms = lag.wait_ms(86_400_000);
        assert!((43_200_000..43_700_000).contains(&waited_ms), "{waited_ms}");
    }
}
