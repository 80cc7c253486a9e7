//! What `/metrics` answers: everything that the process has registered and computes, and how much that is.

use std::time::Instant;

use prometheus::core::Collector;
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Encoder, Error, Gauge, GaugeVec, Opts, Registry, TextEncoder};

use super::Computed;

/// Series of a histogram besides its buckets: the last bucket, sum and count.
const HISTOGRAM_SERIES_MORE: usize = 3;

/// In Prometheus's text format, version 0.0.4.
pub(crate) fn render(registry: &Registry, computed: &Computed) -> Result<Vec<u8>, Error> {
    let started = Instant::now();
    let written = computed.page();
    let mut text = written.text.into_bytes();
    let families = registry.gather();
    TextEncoder::new().encode(&families, &mut text)?;
    let (series, seconds) = own_collectors()?;
    let registered = families.iter().map(|family| (family.name(), series_count(family)));
    for (family, count) in written.series.into_iter().chain(registered) {
        series.with_label_values(&[family]).set(count as f64);
    }
    seconds.set(started.elapsed().as_secs_f64());
    let mut own = [series.collect(), seconds.collect()].concat();
    // A process that has registered nothing has no series to count.
    own.retain(|family| !family.get_metric().is_empty());
    TextEncoder::new().encode(&own, &mut text)?;
    computed.room.was(text.len());
    Ok(text)
}

pub(super) fn own_collectors() -> Result<(GaugeVec, Gauge), Error> {
    let series = Opts::new("weir_metrics_series", "Series that are exported, by metric.");
    let seconds = Opts::new("weir_metrics_scrape_seconds", "Time to put these metrics together.");
    Ok((GaugeVec::new(series, &["family"])?, Gauge::with_opts(seconds)?))
}

fn series_count(family: &MetricFamily) -> usize {
    let metrics = family.get_metric();
    match family.get_field_type() {
        MetricType::HISTOGRAM => {
            metrics.iter().map(|metric| metric.get_histogram().get_bucket().len() + HISTOGRAM_SERIES_MORE).sum()
        }
        _ => metrics.len(),
    }
}
