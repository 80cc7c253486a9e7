//! Spans on their way out: a bounded queue, and a thread that sends what is in it by OTLP over HTTP.
//!
//! A thread, because the exporter's client blocks. What does not fit into the [`Queue`] is dropped and counted, as is what the
//! receiver does not take.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use opentelemetry::Context;
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tracing::warn;

use crate::queue::Queue;
use crate::settings::{Settings, SettingsError};

static EXPORTED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// A receiver that is away is said once in that time.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// How long it may take to find out why it is away.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// How long the last spans may take to be sent when the process stops.
pub(crate) const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// Spans since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub exported: u64,
    pub dropped: u64,
}

pub fn counts() -> Counts {
    Counts { exported: EXPORTED.load(Ordering::Relaxed), dropped: DROPPED.load(Ordering::Relaxed) }
}

/// Where ended spans go.
#[derive(Debug, Clone)]
pub(crate) struct Exporter {
    queue: Arc<Queue<SpanData>>,
}

impl Exporter {
    pub(crate) fn start(settings: &Settings, resource: Resource) -> Result<Self, SettingsError> {
        let queue = Arc::new(Queue::new(settings.queue_spans_max, settings.batch_spans_max));
        let (made, is_made) = sync_channel(1);
        let (every, address, waiting) = (settings.export_every, settings.address.clone(), Arc::clone(&queue));
        let run = move || {
            // One that was installed before is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let exporter =
                opentelemetry_otlp::SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).build();
            match exporter {
                Ok(mut exporter) => {
                    exporter.set_resource(&resource);
                    let _ = made.send(Ok(()));
                    send_all(&exporter, &address, &waiting, every);
                }
                Err(error) => drop(made.send(Err(error.to_string()))),
            }
        };
        let spawned = std::thread::Builder::new().name("weir-traces".to_owned()).spawn(run);
        spawned.map_err(|error| SettingsError::Exporter(error.to_string()))?;
        let made = is_made.recv().unwrap_or_else(|_| Err("its thread has ended".to_owned()));
        made.map_err(SettingsError::Exporter)?;
        Ok(Self { queue })
    }

    /// Waits until what was told before is sent.
    pub(crate) fn flush(&self, limit: Duration) {
        self.queue.flush(limit);
    }
}

impl SpanProcessor for Exporter {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && !self.queue.put(span) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(FLUSH_LIMIT);
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout);
        Ok(())
    }
}

fn send_all(exporter: &opentelemetry_otlp::SpanExporter, address: &str, queue: &Queue<SpanData>, every: Duration) -> ! {
    let mut warned: Option<Instant> = None;
    loop {
        let (batch, flushed) = queue.take(Instant::now() + every);
        send(exporter, address, batch, &mut warned);
        queue.flushed(flushed);
    }
}

fn send(
    exporter: &opentelemetry_otlp::SpanExporter,
    address: &str,
    batch: Vec<SpanData>,
    warned: &mut Option<Instant>,
) {
    if batch.is_empty() {
        return;
    }
    let count = batch.len() as u64;
    match block_on(exporter.export(batch)) {
        Ok(()) => {
            EXPORTED.fetch_add(count, Ordering::Relaxed);
        }
        Err(error) => {
            DROPPED.fetch_add(count, Ordering::Relaxed);
            if warned.is_none_or(|at| at.elapsed() > WARN_EVERY) {
                let cause = unreachable(address).unwrap_or_else(|| error.to_string());
                warn!(
                    address,
                    cause,
                    spans = count,
                    "spans were not taken: they are lost (OTEL_EXPORTER_OTLP_ENDPOINT)"
                );
                *warned = Some(Instant::now());
            }
        }
    }
}

/// Why nobody is there; the exporter's own error does not say.
fn unreachable(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split('/').next()?;
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if scheme == "https" { 443 } else { 80 };
    let place = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
    let found = place.to_socket_addrs().map_err(|error| error.to_string());
    let reached = found.and_then(|mut found| {
        let found = found.next().ok_or_else(|| "the name has no address".to_owned())?;
        TcpStream::connect_timeout(&found, CONNECT_LIMIT).map_err(|error| error.to_string())
    });
    reached.err()
}
