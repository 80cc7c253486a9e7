//! Families that other parts of the process count by connector or by index, within the limit of the broker's own.

use prometheus::proto::{Counter, LabelPair, Metric, MetricFamily, MetricType};

use super::OTHER;

/// Labels whose values are people's own names; there are only so many values of any other.
const OPEN: [&str; 2] = ["connector", "index"];
/// Series of a histogram besides its buckets: the last bucket, sum and count.
const HISTOGRAM_SERIES_MORE: usize = 3;

/// Keeps as many series of each family as it may have, in the order of their labels. Counters beyond are added up under [`OTHER`];
/// of what else is beyond, nobody here knows what a sum means. How many rows have no series of their own then.
pub(super) fn bound(families: &mut Vec<MetricFamily>, series_max: usize) -> usize {
    let dropped = families.iter_mut().map(|family| bound_one(family, series_max)).sum();
    // A family of nothing is an error to who writes it down.
    families.retain(|family| !family.get_metric().is_empty());
    dropped
}

fn bound_one(family: &mut MetricFamily, series_max: usize) -> usize {
    let is_counter = family.get_field_type() == MetricType::COUNTER;
    let rows_max = series_max / family.get_metric().first().map_or(1, series_of);
    let metrics = family.mut_metric();
    let is_open = |metric: &Metric| metric.get_label().iter().any(|label| OPEN.contains(&label.name()));
    if metrics.len() <= rows_max || !metrics.iter().all(is_open) {
        return 0;
    }
    let rest = metrics.split_off(rows_max);
    if is_counter {
        metrics.extend(added_up(&rest));
    }
    rest.len()
}

fn added_up(rest: &[Metric]) -> Option<Metric> {
    let labels = rest.first()?.get_label().iter().map(|label| {
        let mut other = LabelPair::default();
        other.set_name(label.name().to_owned());
        other.set_value(OTHER.to_owned());
        other
    });
    let mut all = Metric::from_label(labels.collect());
    let mut sum = Counter::default();
    sum.set_value(rest.iter().map(|metric| metric.get_counter().get_value()).sum());
    all.set_counter(sum);
    Some(all)
}

/// How many series the family has.
pub(super) fn series_count(family: &MetricFamily) -> usize {
    family.get_metric().iter().map(series_of).sum()
}

/// How many a row of labels has.
fn series_of(metric: &Metric) -> usize {
    match metric.get_histogram().get_bucket().len() {
        0 => 1,
        buckets => buckets + HISTOGRAM_SERIES_MORE,
    }
}

#[cfg(test)]
mod tests {
    use prometheus::core::Collector;
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

    use super::*;

    /// Families with a row for each of the connectors, all of the same value, in the order of their names.
    fn families(labels: &[&str], connectors: &[&str]) -> Vec<MetricFamily> {
        let registry = Registry::new();
        let counter = IntCounterVec::new(Opts::new("a_total", "A."), labels).unwrap();
        let gauge = IntGaugeVec::new(Opts::new("b", "B."), labels).unwrap();
        let histogram = HistogramVec::new(HistogramOpts::new("c", "C.").buckets(vec![1.0]), labels).unwrap();
        let all: [Box<dyn Collector>; 3] =
            [Box::new(counter.clone()), Box::new(gauge.clone()), Box::new(histogram.clone())];
        all.into_iter().for_each(|collector| registry.register(collector).unwrap());
        for connector in connectors {
            counter.with_label_values(&[connector]).inc_by(5);
            gauge.with_label_values(&[connector]).set(5);
            histogram.with_label_values(&[connector]).observe(5.0);
        }
        registry.gather()
    }

    fn names(family: &MetricFamily) -> Vec<&str> {
        family.get_metric().iter().map(|metric| metric.get_label()[0].value()).collect()
    }

    #[test]
    fn what_is_beyond_the_limit_is_added_up_or_left_out_and_counted() {
        let mut bounded = families(&["connector"], &["d", "a", "c", "b"]);
        assert_eq!(bound(&mut bounded, 3), 1 + 1 + 4, "a histogram of one bucket is four series");
        let [counters, gauges] = &bounded[..] else { panic!("{bounded:?}") };
        assert_eq!(names(counters), ["a", "b", "c", OTHER]);
        assert_eq!(names(gauges), ["a", "b", "c"]);
        TextEncoder::new().encode_to_string(&bounded).unwrap();
        let mut bounded = families(&["connector"], &["d", "a", "c", "b"]);
        bound(&mut bounded, 9);
        assert_eq!(bounded.iter().map(series_count).collect::<Vec<_>>(), [4, 4, 8]);
        bound(&mut bounded, 2);
        assert!((bounded[0].get_metric()[2].get_counter().get_value() - 10.0).abs() < f64::EPSILON);
        assert_eq!(series_count(&bounded[0]), 3);
    }

    #[test]
    fn what_has_only_so_many_values_is_whole() {
        let mut whole = families(&["api"], &["d", "a", "c", "b"]);
        assert_eq!(bound(&mut whole, 1), 0);
        assert_eq!(names(&whole[0]), ["a", "b", "c", "d"]);
    }
}
