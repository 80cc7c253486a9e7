//! Traces, by OpenTelemetry: off unless `OTEL_*` variables say where to send them.
//!
//! A piece of work is told once it is over ([`Work`]); whether anybody keeps it is asked first, so that what is not kept costs no
//! more than that. Contexts travel in the headers `traceparent` and `tracestate` of records (W3C Trace Context); headers that a record has are never written
//! anew. [`export`] sends spans from a thread of its own, behind a bounded queue that counts what it drops. [`current`] is the trace
//! that a thread works for, for its log lines.
//!
//! Never blocks whoever works, never fails them.

mod current;
mod export;
mod queue;
mod settings;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

pub use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState};

use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span, SpanBuilder, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span as SdkSpan};

pub use current::{Found, Within, current, within, within_context};
pub use export::{Counts, counts};
pub use settings::SettingsError;

/// The headers of W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
pub const TRACESTATE: &str = "tracestate";
const SERVICE: &str = "weir";

static TRACING: OnceLock<Tracing> = OnceLock::new();

struct Tracing {
    /// Keeps what the sampler says.
    sampled: SdkTracer,
    /// Keeps everything.
    all: SdkTracer,
    propagator: TraceContextPropagator,
}

/// Sends what is left when it is dropped.
pub struct Guard {
    exporter: export::Exporter,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.exporter.flush(export::FLUSH_LIMIT);
    }
}

/// Reads `OTEL_*`; `None` where they ask for no traces. Once per process.
pub fn init(version: &'static str) -> Result<Option<Guard>, SettingsError> {
    let Some(settings) = settings::Settings::from_env(|name| std::env::var(name).ok())? else { return Ok(None) };
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", version));
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(SERVICE);
    }
    let resource = resource.build();
    let exporter = export::Exporter::start(&settings, resource.clone())?;
    // The SDK itself reads OTEL_TRACES_SAMPLER and its argument.
    let provider = SdkTracerProvider::builder().with_resource(resource.clone()).with_span_processor(exporter.clone());
    let all = SdkTracerProvider::builder().with_resource(resource).with_span_processor(exporter.clone());
    let tracing = Tracing {
        sampled: provider.build().tracer(SERVICE),
        all: all.with_sampler(Sampler::AlwaysOn).build().tracer(SERVICE),
        propagator: TraceContextPropagator::new(),
    };
    Ok(TRACING.set(tracing).ok().map(|()| Guard { exporter }))
}

/// Whether traces are wanted at all.
#[inline]
pub fn is_on() -> bool {
    TRACING.get().is_some()
}

/// Which work is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// What the sampler says: traces that are kept, and some that begin.
    Sampled,
    /// All of it: what failed or was slow.
    Always,
}

/// Work that is told of.
pub struct Work {
    span: SdkSpan,
}

impl Work {
    /// `None` where nobody keeps it, which is asked first: then nothing else needs to be put together.
    pub fn begun(keep: Keep, kind: SpanKind, parent: Option<&SpanContext>, began: SystemTime) -> Option<Self> {
        let tracing = TRACING.get()?;
        let tracer = match keep {
            Keep::Sampled => &tracing.sampled,
            Keep::Always => &tracing.all,
        };
        let around = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent.clone()),
            None => Context::new(),
        };
        let builder = SpanBuilder::from_name("").with_kind(kind).with_start_time(began);
        let span = tracer.build_with_context(builder, &around);
        span.span_context().is_sampled().then_some(Self { span })
    }

    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.span.update_name(name);
        self
    }

    pub fn with(mut self, name: &'static str, value: impl Into<opentelemetry::Value>) -> Self {
        self.span.set_attribute(KeyValue::new(name, value));
        self
    }

    /// What else it has to do with, beside its parent.
    pub fn linked(mut self, other: SpanContext) -> Self {
        self.span.add_link(other, Vec::new());
        self
    }

    /// As `error.type`: Kafka's name of the error, or the class of ours.
    pub fn failed(mut self, error: Option<impl Into<Cow<'static, str>>>) -> Self {
        if let Some(error) = error.map(Into::into) {
            self.span.set_attribute(KeyValue::new("error.type", error.clone()));
            self.span.set_status(Status::error(error));
        }
        self
    }

    /// Sends it on its way; its context, for what it led to.
    pub fn ended(mut self, at: SystemTime) -> SpanContext {
        self.span.end_with_timestamp(at);
        self.span.span_context().clone()
    }
}

/// The context that a record's headers carry. Whether it is kept is in it: what follows is, under a sampler that asks its parent.
pub fn context_of<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Option<SpanContext> {
    let tracing = TRACING.get()?;
    let mut found = Headers::default();
    for (name, value) in headers {
        if let (TRACEPARENT | TRACESTATE, Ok(text)) = (name, std::str::from_utf8(value)) {
            found.0.insert(name, text);
        }
    }
    if found.0.is_empty() {
        return None;
    }
    let context = tracing.propagator.extract_with_context(&Context::new(), &found);
    let context = context.span().span_context().clone();
    context.is_valid().then_some(context)
}

#[derive(Default)]
struct Headers<'a>(HashMap<&'a str, &'a str>);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).copied()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().copied().collect()
    }
}

/// The value of `traceparent` for what a piece of work led to.
pub fn traceparent(context: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags())
}

/// When that was, by the wall clock.
pub fn wall_clock(at: Instant) -> SystemTime {
    let now = SystemTime::now();
    now.checked_sub(at.elapsed()).unwrap_or(now)
}
