//! Exemplars: of each bucket of `weir_request_duration_seconds`, the last request of a trace that is kept, so that who sees a
//! slow one in a graph finds out why (OpenMetrics 1.0).
//!
//! There are none while traces are off. Whoever finds them in use goes on without: neither a request nor a page waits.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use weir_trace::{SpanContext, SpanId, TraceId};

use super::buckets::bucket_of;

/// By API and bucket (counted from the lowest): as many as the histogram has.
pub(super) type Last = HashMap<(&'static str, usize), Exemplar>;

#[derive(Clone, Default)]
pub(crate) struct Exemplars {
    last: Arc<Mutex<Last>>,
}

/// One request, and the trace that tells of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    trace: TraceId,
    span: SpanId,
    seconds: f64,
    at: SystemTime,
}

impl Exemplars {
    /// A request of this API took so long, and its span is kept.
    pub(super) fn kept(&self, api: &'static str, took: Duration, span: &SpanContext) {
        let seconds = took.as_secs_f64();
        let exemplar = Exemplar { trace: span.trace_id(), span: span.span_id(), seconds, at: SystemTime::now() };
        if let Ok(mut last) = self.last.try_lock() {
            last.insert((api, bucket_of(seconds)), exemplar);
        }
    }

    /// Those of now.
    pub(super) fn all(&self) -> Last {
        self.last.try_lock().map(|last| last.clone()).unwrap_or_default()
    }
}

/// As it follows a sample in OpenMetrics.
impl Display for Exemplar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, seconds, at } = self;
        let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        write!(f, "# {{trace_id=\"{trace}\",span_id=\"{span}\"}} {seconds} {at:.3}")
    }
}
