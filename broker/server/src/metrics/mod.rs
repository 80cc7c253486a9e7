//! The broker's own metrics, `weir_*`: counters in memory that the paths of a record add to, and [`scrape`], which reads
//! the rest when `/metrics` is asked.
//!
//! Nothing here takes a lock that a produce or fetch takes; per-topic counters are looked up once per topic.

mod process;
pub(crate) mod scrape;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::{Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use weir_protocol::api::ApiSpec;
use weir_types::limits::METRIC_SERIES_MAX;

/// Where series beyond [`METRIC_SERIES_MAX`] are counted.
const OTHER: &str = "__other__";

/// From 50 µs to 13 s, by doubling and a half.
fn seconds_buckets() -> Vec<f64> {
    let mut buckets = Vec::new();
    let mut bound = 0.000_05;
    while bound < 14.0 {
        buckets.push(bound);
        bound *= 2.5;
    }
    buckets
}

/// Counters that are added to as things happen.
pub(crate) struct Metrics {
    records_in: IntCounterVec,
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    requests: IntCounterVec,
    request_errors: IntCounterVec,
    request_duration_seconds: HistogramVec,
    pub log_append_seconds: Histogram,
    pub log_flush_seconds: Histogram,
    retention_deleted_bytes: IntCounterVec,
    pub compaction_runs: IntCounter,
    dropped_series: IntCounter,
    topic_count: AtomicUsize,
}

/// The counters of one topic.
pub(crate) struct TopicMetrics {
    pub records_in: IntCounter,
    pub bytes_in: IntCounter,
    pub bytes_out_consume: IntCounter,
    pub retention_deleted_bytes: IntCounter,
}

/// The counters of one API.
#[derive(Clone)]
pub(crate) struct ApiMetrics {
    pub requests: IntCounter,
    pub duration_seconds: Histogram,
}

/// Registers a new metric and hands it back.
fn register<M: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: Result<M, Error>,
) -> Result<M, Error> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl Metrics {
    /// Fails if the registry already holds metrics of these names: one broker per registry.
    pub(crate) fn new(registry: &Registry) -> Result<Self, Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let histogram = |name: &str, help: &str| {
            let opts = HistogramOpts::new(name, help).buckets(seconds_buckets());
            register(registry, Histogram::with_opts(opts))
        };
        let duration =
            HistogramOpts::new("weir_request_duration_seconds", "From a request's frame to its answer, by API.")
                .buckets(seconds_buckets());
        Ok(Self {
            records_in: counters("weir_records_in_total", "Records appended by clients.", &["topic"])?,
            bytes_in: counters("weir_bytes_in_total", "Bytes of batches appended by clients.", &["topic"])?,
            bytes_out: counters(
                "weir_bytes_out_total",
                "Bytes of batches sent, by who reads them.",
                &["topic", "kind"],
            )?,
            requests: counters("weir_requests_total", "Requests answered, by API.", &["api"])?,
            request_errors: counters(
                "weir_request_errors_total",
                "Errors answered, by API and Kafka's name of the error.",
                &["api", "error"],
            )?,
            request_duration_seconds: register(registry, HistogramVec::new(duration, &["api"]))?,
            log_append_seconds: histogram("weir_log_append_seconds", "Time to append to a partition's log.")?,
            log_flush_seconds: histogram("weir_log_flush_seconds", "Time to sync one partition to disk.")?,
            retention_deleted_bytes: counters(
                "weir_retention_deleted_bytes_total",
                "Bytes deleted by retention, by time or size.",
                &["topic"],
            )?,
            compaction_runs: register(
                registry,
                IntCounter::new("weir_compaction_runs_total", "Compactions of a partition that were put in place."),
            )?,
            dropped_series: register(
                registry,
                IntCounter::new(
                    "weir_metrics_dropped_series_total",
                    "Topics whose series are counted under __other__ because there are too many.",
                ),
            )?,
            topic_count: AtomicUsize::new(0),
        })
    }

    /// The counters of a topic, at 0 if it is new.
    pub(crate) fn topic(&self, name: &str) -> Arc<TopicMetrics> {
        let label = if self.topic_count.fetch_add(1, Ordering::Relaxed) < METRIC_SERIES_MAX {
            name
        } else {
            self.dropped_series.inc();
            OTHER
        };
        Arc::new(TopicMetrics {
            records_in: self.records_in.with_label_values(&[label]),
            bytes_in: self.bytes_in.with_label_values(&[label]),
            bytes_out_consume: self.bytes_out.with_label_values(&[label, "consume"]),
            retention_deleted_bytes: self.retention_deleted_bytes.with_label_values(&[label]),
        })
    }

    /// A deleted topic takes its series with it.
    pub(crate) fn forget_topic(&self, name: &str) {
        self.topic_count.fetch_sub(1, Ordering::Relaxed);
        // A series that is not there was folded into __other__: nothing to remove.
        let _ = self.records_in.remove_label_values(&[name]);
        let _ = self.bytes_in.remove_label_values(&[name]);
        let _ = self.bytes_out.remove_label_values(&[name, "consume"]);
        let _ = self.retention_deleted_bytes.remove_label_values(&[name]);
    }

    pub(crate) fn api(&self, api: &ApiSpec) -> ApiMetrics {
        ApiMetrics {
            requests: self.requests.with_label_values(&[api.name]),
            duration_seconds: self.request_duration_seconds.with_label_values(&[api.name]),
        }
    }

    pub(crate) fn request_error(&self, api: &ApiSpec, error: &str) {
        self.request_errors.with_label_values(&[api.name, error]).inc();
    }
}
