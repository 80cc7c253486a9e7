//! Times of requests as quantiles, in Kafka's names: over the last minutes, as Kafka's own reservoirs forget.
//!
//! They come from the buckets of `weir_request_phase_seconds`, so a quantile lies in the right bucket, and is interpolated
//! within it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::api::Context;
use crate::metrics::ApiMetrics;
use crate::metrics::buckets::Buckets;
use crate::metrics::page::Page;
use crate::metrics::requests::PHASES;

/// Requests that are older do not count.
const WINDOW: Duration = Duration::from_secs(300);
/// How fine the window moves.
const STEP: Duration = Duration::from_secs(30);

const QUANTILES: [(&str, f64); 6] =
    [("0.50", 0.5), ("0.75", 0.75), ("0.95", 0.95), ("0.98", 0.98), ("0.99", 0.99), ("0.999", 0.999)];

/// Name and meaning of each of [`PHASES`].
const FAMILIES: [(&str, &str); PHASES.len()] = [
    ("kafka_network_requestmetrics_requestqueuetimems", "Milliseconds that requests waited for earlier ones."),
    ("kafka_network_requestmetrics_localtimems", "Milliseconds that this broker worked on requests."),
    ("kafka_network_requestmetrics_remotetimems", "Milliseconds that requests waited for records, a disk or others."),
    ("kafka_network_requestmetrics_responsequeuetimems", "Milliseconds that answers waited for earlier ones."),
    ("kafka_network_requestmetrics_responsesendtimems", "Milliseconds that sending answers took."),
];

/// Fetches are all of consumers; the one that Kafka calls after followers has none.
const FETCH: &str = "Fetch";
const FETCH_CONSUMER: &str = "FetchConsumer";
const FETCH_FOLLOWER: &str = "FetchFollower";

/// One API's times, by phase.
type Phases = [Buckets; PHASES.len()];

/// What the buckets held before, so that quantiles are over a window.
#[derive(Default)]
pub(super) struct RequestTimes {
    past: Mutex<VecDeque<(Instant, Vec<Phases>)>>,
}

impl RequestTimes {
    pub(super) fn write(&self, page: &mut Page, cx: &Context) {
        let now = cx.api_metrics().iter().map(ApiMetrics::phases).collect();
        let (now, recent) = self.recent(Instant::now(), now);
        let requests = || cx.api_metrics().iter().map(|metrics| metrics.name).zip(now.iter().zip(&recent));
        for (phase, (name, help)) in FAMILIES.into_iter().enumerate() {
            page.header(name, "summary", help);
            for (request, (total, recent)) in requests() {
                summary(page, name, request, &total[phase], &recent[phase]);
                if request == FETCH {
                    summary(page, name, FETCH_CONSUMER, &total[phase], &recent[phase]);
                    summary(page, name, FETCH_FOLLOWER, &Buckets::default(), &Buckets::default());
                }
            }
        }
    }

    /// What there is, and what of it is of the window.
    fn recent(&self, at: Instant, now: Vec<Phases>) -> (Vec<Phases>, Vec<Phases>) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |(then, _): &(Instant, _)| at.saturating_duration_since(*then) >= WINDOW;
        while past.get(1).is_some_and(is_over) {
            past.pop_front();
        }
        // Until there has been a look so long ago, everything since the start counts.
        let recent = match past.front().filter(|look| is_over(look)) {
            None => now.clone(),
            Some((_, before)) => now.iter().zip(before).map(|(now, before)| since(now, before)).collect(),
        };
        if past.back().is_none_or(|(then, _)| at.saturating_duration_since(*then) >= STEP) {
            past.push_back((at, now.clone()));
        }
        (now, recent)
    }
}

fn since(now: &Phases, before: &Phases) -> Phases {
    std::array::from_fn(|phase| now[phase].since(&before[phase]))
}

fn summary(page: &mut Page, name: &str, request: &str, total: &Buckets, recent: &Buckets) {
    for (label, quantile) in QUANTILES {
        let labels = [("request", request), ("quantile", label)];
        page.sample(name, labels, recent.quantile_seconds(quantile) * 1000.0);
    }
    page.sample(&format!("{name}_sum"), [("request", request)], total.sum_seconds * 1000.0);
    page.sample(&format!("{name}_count"), [("request", request)], total.count() as f64);
}

#[cfg(test)]
mod tests {
    use prometheus::{Histogram, HistogramOpts};

    use super::*;
    use crate::metrics::seconds_buckets;

    fn phases(histogram: &Histogram, count: usize) -> Vec<Phases> {
        (0..count).for_each(|_| histogram.observe(0.001));
        vec![std::array::from_fn(|_| Buckets::of(histogram))]
    }

    #[test]
    fn quantiles_forget_what_is_older_than_the_window() {
        let (times, start) = (RequestTimes::default(), Instant::now());
        let observed = Histogram::with_opts(HistogramOpts::new("seconds", "Time.").buckets(seconds_buckets())).unwrap();
        let at = |seconds| start + Duration::from_secs(seconds);
        let recent = |seconds, count| {
            let (all, recent) = times.recent(at(seconds), phases(&observed, count));
            (all[0][0].count(), recent[0][0].count())
        };
        // Until it has been looked for so long, all there is counts.
        assert_eq!([recent(0, 100), recent(60, 5), recent(299, 1)], [(100, 100), (105, 105), (106, 106)]);
        assert_eq!([recent(300, 1), recent(361, 1), recent(3600, 1)], [(107, 7), (108, 3), (109, 1)]);
        assert!(times.past.lock().unwrap().len() <= 4);
    }
}
