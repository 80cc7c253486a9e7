//! The counters of requests: how many, how long, and where the time went.

use std::time::{Duration, Instant};

use prometheus::core::Collector;
use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};
use weir_protocol::api::ApiSpec;
use weir_trace::SpanContext;

use super::buckets::Buckets;
use super::exemplars::Exemplars;
use super::seconds_buckets;

pub(super) struct RequestFamilies {
    requests: IntCounterVec,
    errors: IntCounterVec,
    duration_seconds: HistogramVec,
    phase_seconds: HistogramVec,
    waiting: IntGaugeVec,
    /// Of `duration_seconds`.
    exemplars: Exemplars,
}

/// Its name in Prometheus.
pub(super) const DURATION: &str = "weir_request_duration_seconds";

/// Where the time of a request goes.
pub(super) const PHASES: [&str; 5] = ["queue", "local", "remote", "response_queue", "send"];

/// The counters of one API.
#[derive(Clone)]
pub(crate) struct ApiMetrics {
    pub name: &'static str,
    pub requests: IntCounter,
    errors: IntCounterVec,
    pub duration_seconds: Histogram,
    /// By [`PHASES`].
    phase_seconds: [Histogram; PHASES.len()],
    /// Requests that wait for something other than this broker's processors: records, a disk, other members.
    pub waiting: IntGauge,
    exemplars: Exemplars,
}

impl RequestFamilies {
    pub(super) fn new() -> Result<Self, Error> {
        let histogram = |name: &str, help: &str, labels: &[&str]| {
            HistogramVec::new(HistogramOpts::new(name, help).buckets(seconds_buckets()), labels)
        };
        Ok(Self {
            requests: IntCounterVec::new(Opts::new("weir_requests_total", "Requests answered, by API."), &["api"])?,
            errors: IntCounterVec::new(
                Opts::new(
                    "weir_request_errors_total",
                    "Requests answered with an error, by API and Kafka's name of the first one in the answer.",
                ),
                &["api", "error"],
            )?,
            duration_seconds: histogram(
                DURATION,
                "From a request's whole frame until its answer is ready, by API.",
                &["api"],
            )?,
            phase_seconds: histogram(
                "weir_request_phase_seconds",
                "Where the time of requests goes: queue (for earlier requests of the connection), local (this broker works), \
                 remote (it waits: for records, a disk, other members), response_queue (for earlier answers), send.",
                &["api", "phase"],
            )?,
            waiting: IntGaugeVec::new(
                Opts::new("weir_purgatory_size", "Requests that wait for records, a disk or other members, by API."),
                &["api"],
            )?,
            exemplars: Exemplars::default(),
        })
    }

    pub(super) fn exemplars(&self) -> Exemplars {
        self.exemplars.clone()
    }

    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.requests.clone()),
            Box::new(self.errors.clone()),
            Box::new(self.duration_seconds.clone()),
            Box::new(self.phase_seconds.clone()),
            Box::new(self.waiting.clone()),
        ]
    }

    pub(super) fn api(&self, api: &ApiSpec) -> ApiMetrics {
        ApiMetrics {
            name: api.name,
            requests: self.requests.with_label_values(&[api.name]),
            errors: self.errors.clone(),
            duration_seconds: self.duration_seconds.with_label_values(&[api.name]),
            phase_seconds: PHASES.map(|phase| self.phase_seconds.with_label_values(&[api.name, phase])),
            waiting: self.waiting.with_label_values(&[api.name]),
            exemplars: self.exemplars(),
        }
    }
}

impl ApiMetrics {
    /// A request begins that was whole at `received`.
    pub(crate) fn begun(&self, received: Instant) {
        let [queue_seconds, ..] = &self.phase_seconds;
        queue_seconds.observe(received.elapsed().as_secs_f64());
    }

    /// Its answer is ready `elapsed` after it began; for `local` of that the broker worked on it. `error` is what it tells first.
    pub(crate) fn answered(&self, elapsed: Duration, local: Duration, error: Option<&str>) {
        self.requests.inc();
        if let Some(error) = error {
            self.errors.with_label_values(&[self.name, error]).inc();
        }
        self.duration_seconds.observe(elapsed.as_secs_f64());
        let [_, local_seconds, remote_seconds, ..] = &self.phase_seconds;
        local_seconds.observe(local.as_secs_f64());
        remote_seconds.observe(elapsed.saturating_sub(local).as_secs_f64());
    }

    /// A trace that is kept tells of a request whose answer was ready `elapsed` after it began.
    pub(crate) fn kept(&self, elapsed: Duration, span: &SpanContext) {
        self.exemplars.kept(self.name, elapsed, span);
    }

    /// Its answer, ready since `ready`, began to be sent at `sending` and is sent now.
    pub(crate) fn sent(&self, ready: Instant, sending: Instant) {
        let [.., response_queue_seconds, send_seconds] = &self.phase_seconds;
        response_queue_seconds.observe(sending.saturating_duration_since(ready).as_secs_f64());
        send_seconds.observe(sending.elapsed().as_secs_f64());
    }

    /// Where the time of its requests went, by [`PHASES`].
    pub(super) fn phases(&self) -> [Buckets; PHASES.len()] {
        self.phase_seconds.each_ref().map(Buckets::of)
    }
}
