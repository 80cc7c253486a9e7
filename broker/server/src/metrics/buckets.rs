//! What a histogram of seconds held at one moment, and quantiles of that.

use prometheus::Histogram;
use prometheus::core::Collector;

use super::seconds_buckets;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Buckets {
    /// By bound, each with what is below it, and everything last; empty for nothing.
    counts: Vec<u64>,
    pub(super) sum_seconds: f64,
}

impl Buckets {
    pub(super) fn of(histogram: &Histogram) -> Self {
        let families = histogram.collect();
        let Some(metric) = families.first().and_then(|family| family.get_metric().first()) else {
            return Self::default();
        };
        let histogram = metric.get_histogram();
        let mut counts: Vec<u64> = histogram.get_bucket().iter().map(|bucket| bucket.cumulative_count()).collect();
        counts.push(histogram.get_sample_count());
        Self { counts, sum_seconds: histogram.get_sample_sum() }
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.last().copied().unwrap_or(0)
    }

    /// What came after `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        let counts = self.counts.iter().enumerate();
        let counts = counts.map(|(at, count)| count - before.counts.get(at).copied().unwrap_or(0).min(*count));
        Self { counts: counts.collect(), sum_seconds: self.sum_seconds - before.sum_seconds }
    }

    /// Interpolated within its bucket, as Prometheus does; 0 for nothing, the last bound for what is beyond it.
    pub(super) fn quantile_seconds(&self, quantile: f64) -> f64 {
        let rank = quantile * self.count() as f64;
        if rank == 0.0 {
            return 0.0;
        }
        let (mut bound_before, mut count_before) = (0.0, 0);
        for (bound, count) in seconds_buckets().into_iter().zip(&self.counts) {
            if *count as f64 >= rank {
                let share = (rank - count_before as f64) / (count - count_before) as f64;
                return bound_before + (bound - bound_before) * share;
            }
            (bound_before, count_before) = (bound, *count);
        }
        bound_before
    }
}

/// Which bucket counts so many seconds; one more than there are bounds for what is beyond the last.
pub(super) fn bucket_of(seconds: f64) -> usize {
    let bounds = seconds_buckets();
    bounds.iter().position(|bound| seconds <= *bound).unwrap_or(bounds.len())
}

#[cfg(test)]
mod tests {
    use prometheus::HistogramOpts;

    use super::*;

    fn histogram(seconds: impl IntoIterator<Item = f64>) -> Histogram {
        let opts = HistogramOpts::new("weir_log_append_seconds", "Time.").buckets(seconds_buckets());
        let histogram = Histogram::with_opts(opts).unwrap();
        seconds.into_iter().for_each(|seconds| histogram.observe(seconds));
        histogram
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_where_it_was_observed() {
        let buckets = Buckets::of(&histogram((1..=1000).map(|n| f64::from(n) / 1000.0)));
        for (quantile, true_seconds) in [(0.5, 0.5), (0.95, 0.95), (0.999, 0.999)] {
            let found = buckets.quantile_seconds(quantile);
            assert!(found > true_seconds / 2.5 && found < true_seconds * 2.5, "{quantile}: {found}");
        }
        assert!(buckets.quantile_seconds(0.5) < buckets.quantile_seconds(0.99));
        assert_eq!(Buckets::of(&histogram([])).quantile_seconds(0.99), 0.0);
        assert!(Buckets::of(&histogram([1e6])).quantile_seconds(0.5) > 7.0);
    }

    #[test]
    fn what_came_before_does_not_count() {
        let observed = histogram([10.0; 99]);
        let before = Buckets::of(&observed);
        observed.observe(0.001);
        let since = Buckets::of(&observed).since(&before);
        assert_eq!(since.count(), 1);
        assert!(since.quantile_seconds(0.99) < 0.002 && (since.sum_seconds - 0.001).abs() < 1e-6, "{since:?}");
    }
}
