//! One partition of a group over a window of time: what happened, and what follows from it.

use std::time::Duration;

use weir_types::TopicPartition;

use super::{LagConfig, LagStatus, PartitionLag, Position};

/// Samples that a window is divided into.
const SAMPLES_PER_WINDOW: u32 = 10;

/// The lag was the same from one look to another, both inclusive.
#[derive(Debug, Clone, Copy)]
struct Sample {
    from_ms: i64,
    until_ms: i64,
    lag_records: i64,
}

/// Commits went back.
#[derive(Debug, Clone, Copy)]
struct Rewind {
    at_ms: i64,
    from_offset: i64,
    to_offset: i64,
}

/// Small: there is one for each partition of each group.
#[derive(Debug)]
pub(super) struct History {
    position: Position,
    /// As long as the lag does not change, which is all that most partitions need.
    sample: Option<Sample>,
    /// What was before, in order.
    samples_before: Vec<Sample>,
    /// When the committed offset was last seen to change.
    moved_ms: i64,
    rewind: Option<Box<Rewind>>,
    /// Everything below was counted as lost, or was gone when this history began.
    lost_upto: i64,
    lost_records_total: u64,
    status: LagStatus,
    since_ms: i64,
}

impl History {
    /// Begins at a first position. What was lost before is not counted: it was somebody's to count then.
    pub(super) fn new(now_ms: i64, position: &Position) -> Self {
        Self {
            position: *position,
            sample: None,
            samples_before: Vec::new(),
            moved_ms: position.commit_timestamp_ms.min(now_ms),
            rewind: None,
            lost_upto: position.log_start_offset,
            lost_records_total: 0,
            status: LagStatus::Ok,
            since_ms: now_ms,
        }
    }

    pub(super) fn status(&self) -> LagStatus {
        self.status
    }

    pub(super) fn since_ms(&self) -> i64 {
        self.since_ms
    }

    pub(super) fn observe(&mut self, now_ms: i64, position: &Position, member_count: usize, config: &LagConfig) {
        let before = self.position.committed_offset;
        if position.committed_offset != before {
            self.moved_ms = position.commit_timestamp_ms.min(now_ms);
        }
        if position.committed_offset < before {
            let rewind = Rewind { at_ms: self.moved_ms, from_offset: before, to_offset: position.committed_offset };
            self.rewind = Some(Box::new(rewind));
        }
        self.count_lost(position);
        self.position = *position;
        let window_ms = millis(config.window);
        self.sample(now_ms, window_ms);
        let (status, since_ms) = self.judge(now_ms, window_ms, member_count, config);
        if status != self.status {
            (self.status, self.since_ms) = (status, since_ms);
        }
    }

    fn count_lost(&mut self, position: &Position) {
        let from = position.committed_offset.max(self.lost_upto);
        if position.lost_records() > 0 && position.log_start_offset > from {
            self.lost_records_total += (position.log_start_offset - from).cast_unsigned();
        }
        self.lost_upto = self.lost_upto.max(position.log_start_offset);
    }

    fn sample(&mut self, now_ms: i64, window_ms: i64) {
        let spacing_ms = window_ms / i64::from(SAMPLES_PER_WINDOW);
        let lag_records = self.position.lag_records();
        match &mut self.sample {
            Some(last) if now_ms - last.until_ms < spacing_ms => return,
            Some(last) if last.lag_records == lag_records => last.until_ms = now_ms,
            last => {
                let before = last.replace(Sample { from_ms: now_ms, until_ms: now_ms, lag_records });
                self.samples_before.extend(before);
            }
        }
        // One beyond the window's begin stays, so that the window is seen whole.
        let is_over = |sample: &Sample| now_ms - sample.from_ms >= window_ms;
        let over = self.samples().skip(1).take_while(|sample| is_over(sample)).count();
        self.samples_before.drain(..over);
        if self.samples_before.is_empty() {
            self.samples_before = Vec::new();
        }
    }

    /// In order.
    fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.samples_before.iter().chain(&self.sample)
    }

    /// The status, and since when it holds.
    fn judge(&self, now_ms: i64, window_ms: i64, member_count: usize, config: &LagConfig) -> (LagStatus, i64) {
        let position = &self.position;
        if position.lost_records() > 0 {
            return (LagStatus::Lost, now_ms);
        }
        if position.lag_records() == 0 {
            return (LagStatus::Ok, now_ms);
        }
        // Since when both holds: it has something to read, and has not moved.
        let waits_since_ms = self.moved_ms.max(now_ms - position.lag_ms(now_ms));
        if now_ms - waits_since_ms >= window_ms {
            let status = if member_count > 0 { LagStatus::Stalled } else { LagStatus::Stopped };
            return (status, waits_since_ms);
        }
        if let Some(rewind) = self.rewind.as_ref().filter(|rewind| now_ms - rewind.at_ms < window_ms) {
            return (LagStatus::Rewound, rewind.at_ms);
        }
        let is_worth_it =
            position.lag_records() >= config.warn_min_records && position.lag_ms(now_ms) >= millis(config.warn_min);
        match self.samples().next() {
            Some(first) if is_worth_it && now_ms - first.from_ms >= window_ms && self.never_fell() => {
                (LagStatus::Warn, first.from_ms.max(first.until_ms.min(now_ms - window_ms)))
            }
            _ => (LagStatus::Ok, now_ms),
        }
    }

    fn never_fell(&self) -> bool {
        let lags = self.samples().map(|sample| sample.lag_records);
        lags.chain([self.position.lag_records()]).is_sorted()
    }

    /// As it was `observed_ms`.
    pub(super) fn lag<'a>(&'a self, partition: &'a TopicPartition, observed_ms: i64) -> PartitionLag<'a> {
        PartitionLag {
            partition,
            observed_ms,
            position: self.position,
            status: self.status,
            since_ms: self.since_ms,
            lost_records_total: self.lost_records_total,
            history: self,
        }
    }

    pub(super) fn evidence(&self, observed_ms: i64) -> String {
        let Position { committed_offset, log_start_offset, end_offset, .. } = self.position;
        let (lag, behind) = (self.position.lag_records(), seconds(self.position.lag_ms(observed_ms)));
        let unmoved = seconds(observed_ms - self.moved_ms);
        match self.status {
            LagStatus::Ok if lag == 0 => "has read everything".to_owned(),
            LagStatus::Ok => format!("{lag} records behind, the first of them for {behind}"),
            LagStatus::Warn => {
                let since = seconds(observed_ms - self.since_ms);
                format!("{lag} records behind, and not once fewer in {since}: reads slower than records come")
            }
            LagStatus::Rewound => {
                let (from, to) = self.rewind.as_ref().map_or((0, 0), |rewind| (rewind.from_offset, rewind.to_offset));
                format!("went back from offset {from} to {to}; {lag} records to read")
            }
            LagStatus::Stalled => {
                format!("has members, but has been at offset {committed_offset} for {unmoved}; {lag} records wait")
            }
            LagStatus::Stopped => {
                format!("has no members, and has been at offset {committed_offset} for {unmoved}; {lag} records wait")
            }
            LagStatus::Lost => format!(
                "{} records from offset {committed_offset} on were deleted before they were read; the log begins at \
                 {log_start_offset} and ends at {end_offset}",
                self.position.lost_records()
            ),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
fn seconds(ms: i64) -> String {
    let total = ms.max(0) / 1000;
    match (total / 86_400, total / 3600 % 24, total / 60 % 60, total % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}
