//! About when each part of the log was appended: samples of (offset, clock), thinned as they grow old, so that lag can
//! be told in seconds without reading a record.

use std::collections::VecDeque;

/// Samples kept per log; when they are used up every other one goes.
const SAMPLES_MAX: usize = 128;
/// The finest spacing, in milliseconds. Doubles each time the samples are thinned.
const SPACING_MIN_MS: i64 = 100;

#[derive(Default)]
pub(super) struct AppendTimes {
    samples: VecDeque<(i64, i64)>,
    spacing_ms: i64,
}

impl AppendTimes {
    /// Notes that the record at `offset` is appended at `now_ms`.
    pub(super) fn note(&mut self, offset: i64, now_ms: i64) {
        let spacing = self.spacing_ms.max(SPACING_MIN_MS);
        if self.samples.back().is_some_and(|&(_, time)| now_ms - time < spacing) {
            return;
        }
        if self.samples.len() == SAMPLES_MAX {
            let mut index = 0;
            self.samples.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.spacing_ms = spacing * 2;
        }
        self.samples.push_back((offset, now_ms));
    }

    pub(super) fn at(&self, offset: i64) -> Option<i64> {
        let after = self.samples.partition_point(|&(first, _)| first <= offset);
        after.checked_sub(1).map(|index| self.samples[index].1)
    }

    pub(super) fn truncate(&mut self, end: i64) {
        self.samples.retain(|&(offset, _)| offset < end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stay_bounded_and_right_within_their_spacing() {
        let mut times = AppendTimes::default();
        for n in 0..10_000 {
            times.note(n, n * 50);
        }
        assert!(times.samples.len() <= SAMPLES_MAX);
        for offset in [0, 17, 5_000, 9_999] {
            let time = times.at(offset).unwrap();
            assert!(time <= offset * 50 && offset * 50 - time <= times.spacing_ms, "{offset}: {time}");
        }
        times.truncate(5);
        assert_eq!(times.at(9_999), Some(0));
    }
}
