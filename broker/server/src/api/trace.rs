//! A request as a span, told when its answer is sent: kept when its trace is, and always when it failed or was slow.
//!
//! It belongs to the trace of the first record that it carries, where that is readable without decompressing. Where its time went
//! are its children, under the names of `weir_request_phase_seconds`; of Produce, what is local is the append and what is remote
//! the commit.
//!
//! Nothing here runs while traces are off.

use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use weir_protocol::api::{self as spec, ApiSpec};
use weir_trace::{Found, Keep, SpanContext, SpanKind, Within, Work, context_of, wall_clock, within};
use weir_types::batch::RecordBatch;

use super::{Call, RecordRange};

/// From there on a request is slow; what it waits for by its nature (records, other members) does not count.
const SLOW: Duration = Duration::from_millis(500);
/// How much of the first batch of an answer is looked at for its first record's headers.
const LOOK_BYTES: usize = 4096;

/// What a handler finds out.
#[derive(Debug, Default)]
pub(crate) struct RequestTrace {
    topic: OnceLock<Arc<str>>,
    context: Found,
}

/// When things happened to a request.
pub(super) struct Times {
    pub received: Instant,
    pub started: Instant,
    pub local: Duration,
    pub ready: Instant,
}

/// A request that is answered, and is to be told once that is sent.
pub(super) struct Told {
    pub trace: Arc<RequestTrace>,
    pub api: &'static ApiSpec,
    pub times: Times,
    /// Kafka's name of it.
    pub error: Option<String>,
}

impl Call {
    /// These records came with the request.
    pub(super) fn carries(&self, topic: &Arc<str>, records: &[u8]) {
        if let Some(trace) = self.trace.as_deref().filter(|trace| trace.topic.set(Arc::clone(topic)).is_ok()) {
            trace.found(records);
        }
    }

    /// These go with its answer.
    pub(super) fn answers_with(&self, topic: &Arc<str>, range: &RecordRange) {
        let Some(trace) = self.trace.as_deref().filter(|trace| trace.topic.set(Arc::clone(topic)).is_ok()) else {
            return;
        };
        let mut prefix = vec![0; LOOK_BYTES.min(range.len)];
        if range.file.read_exact_at(&mut prefix, range.position).is_ok() {
            trace.found(&prefix);
        }
    }
}

impl RequestTrace {
    /// The thread works for this request until what is returned is dropped.
    pub(super) fn enter(&self) -> Within {
        within(&self.context)
    }

    fn found(&self, batch: &[u8]) {
        let headers = RecordBatch::first_headers(batch);
        if let Some(context) = context_of(headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))) {
            let _ = self.context.set(context);
        }
    }
}

impl Told {
    /// The answer, which began to be sent at `sending`, is sent. The span, if anybody keeps it.
    pub(super) fn tell(&self, sending: Instant) -> Option<SpanContext> {
        let (times, sent) = (&self.times, Instant::now());
        let keep = if self.error.is_some() || self.is_slow() { Keep::Always } else { Keep::Sampled };
        let parent = self.trace.context.get();
        let work = Work::begun(keep, SpanKind::Server, parent, wall_clock(times.received))?;
        let mut work = work.with("messaging.system", "kafka").failed(self.error.clone());
        work = match self.trace.topic.get() {
            Some(topic) => {
                work.named(format!("{} {topic}", self.api.name)).with("messaging.destination.name", topic.to_string())
            }
            None => work.named(self.api.name),
        };
        if let Some(operation) = operation(self.api) {
            work = work.with("messaging.operation.name", operation).with("messaging.operation.type", operation);
        }
        let context = work.ended(wall_clock(sent));
        let worked = times.started + times.local;
        let (local, remote) =
            if self.api.key == spec::PRODUCE.key { ("append", "commit") } else { ("local", "remote") };
        let phases = [
            ("queue", times.received, times.started),
            (local, times.started, worked),
            (remote, worked, times.ready),
            ("response_queue", times.ready, sending),
            ("send", sending, sent),
        ];
        for (phase, began, ended) in phases {
            let work = Work::begun(Keep::Always, SpanKind::Internal, Some(&context), wall_clock(began));
            work.map(|work| work.named(phase).ended(wall_clock(ended)));
        }
        Some(context)
    }

    fn is_slow(&self) -> bool {
        let waits = [spec::FETCH.key, spec::JOIN_GROUP.key, spec::SYNC_GROUP.key].contains(&self.api.key);
        let queued = self.times.started.saturating_duration_since(self.times.received);
        let worked = if waits { self.times.local } else { self.times.ready - self.times.started };
        queued + worked >= SLOW
    }
}

/// OpenTelemetry's word for what a client does with records.
fn operation(api: &ApiSpec) -> Option<&'static str> {
    match api.key {
        key if key == spec::PRODUCE.key => Some("send"),
        key if key == spec::FETCH.key => Some("receive"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Poll, Waker};

    use weir_trace::{SpanId, TraceFlags, TraceId, TraceState, current};

    use super::super::call::Handled;
    use super::super::{Answer, Reply};
    use super::*;
    use crate::metrics::{Bounds, Level, Metrics};

    #[test]
    fn a_request_is_worked_on_within_its_trace_from_when_that_is_found_until_it_waits() {
        let metrics = Metrics::new(Bounds { level: Level::Topic, series_max: 10 }).unwrap();
        let trace: Arc<RequestTrace> = Arc::default();
        let context =
            SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::default(), true, TraceState::default());
        let found = Arc::clone(&trace);
        let handling = Box::pin(async move {
            assert_eq!(current(), None);
            found.context.set(context.clone()).unwrap();
            assert_eq!(current(), Some(context.clone()));
            tokio::task::yield_now().await;
            assert_eq!(current(), Some(context));
            Ok(Handled { reply: Reply::None, error: None })
        });
        let answer = Answer::new(handling, Instant::now(), metrics.api(&spec::PRODUCE), Some((&spec::PRODUCE, trace)));
        let mut answer = std::pin::pin!(answer);
        let mut task = std::task::Context::from_waker(Waker::noop());
        assert!(answer.as_mut().poll(&mut task).is_pending());
        assert_eq!(current(), None, "others are polled on this thread");
        assert!(matches!(answer.as_mut().poll(&mut task), Poll::Ready(Ok(_))));
    }
}
