//! Bytes per second in and out of this broker over about the last minute: from looks at its counters, whenever somebody asks.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Looks that are older do not count, but for the last of them.
const WINDOW: Duration = Duration::from_secs(60);
/// How fine the window moves.
const STEP: Duration = Duration::from_secs(5);

pub(super) struct Throughput {
    looks: Mutex<VecDeque<Look>>,
}

#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    /// In and out, since the start.
    bytes: [u64; 2],
}

impl Throughput {
    /// From the start of the counters on.
    pub(super) fn new(at: Instant) -> Self {
        Self { looks: Mutex::new([Look { at, bytes: [0, 0] }].into()) }
    }

    /// `bytes` are in and out since the start.
    pub(super) fn per_second(&self, at: Instant, bytes: [u64; 2]) -> [f64; 2] {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        while looks.get(1).is_some_and(|look| at.saturating_duration_since(look.at) >= WINDOW) {
            looks.pop_front();
        }
        let (first, last) = match (looks.front(), looks.back()) {
            (Some(first), Some(last)) => (*first, *last),
            _ => return [0.0; 2],
        };
        // The bytes of a topic that is being deleted are in neither sum for a moment.
        let bytes = [0, 1].map(|way| bytes[way].max(last.bytes[way]));
        if at.saturating_duration_since(last.at) >= STEP {
            looks.push_back(Look { at, bytes });
        }
        let seconds = at.saturating_duration_since(first.at).as_secs_f64();
        [0, 1].map(|way| if seconds > 0.0 { (bytes[way] - first.bytes[way]) as f64 / seconds } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_what_was_moved_within_the_last_minute() {
        let start = Instant::now();
        let throughput = Throughput::new(start);
        let at = |seconds, bytes_in, bytes_out| {
            throughput.per_second(start + Duration::from_secs(seconds), [bytes_in, bytes_out])
        };
        assert_eq!(at(0, 0, 0), [0.0, 0.0]);
        // Since the start, while that is less than a minute ago.
        assert_eq!(at(10, 1_000, 20), [100.0, 2.0]);
        assert_eq!(at(60, 6_000, 120), [100.0, 2.0]);
        // A scrape each ten seconds, while nothing moves any more.
        assert_eq!(at(70, 6_000, 120)[0], 5_000.0 / 60.0);
        (80..=110).step_by(10).for_each(|seconds| assert!(at(seconds, 6_000, 120)[0] > 0.0));
        assert_eq!(at(120, 6_000, 120), [0.0, 0.0]);
        // Long after: since the look before.
        assert_eq!(at(720, 12_000, 120), [10.0, 0.0]);
        // A sum that lacks a topic for a moment is no fall, and what comes back no rise.
        at(730, 2_000, 20);
        assert_eq!(at(780, 12_000, 120), [0.0, 0.0]);
        assert!(throughput.looks.lock().unwrap().len() <= 14);
    }
}
