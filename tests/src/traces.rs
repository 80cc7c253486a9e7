//! A receiver of traces: OTLP over HTTP, decoded from its protobuf.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span as WireSpan, span::SpanKind, status::StatusCode as WireStatus};
use prost::Message;
use tokio::net::TcpListener;

/// A span as it came, ids in hex.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty for the first of a trace.
    pub parent: String,
    /// Traces that it refers to.
    pub links: Vec<String>,
    pub kind: SpanKind,
    pub attributes: BTreeMap<String, String>,
    pub is_error: bool,
    pub nanos: u64,
}

/// Listens until it is dropped.
pub struct Receiver {
    pub url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Result<Self> {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&spans);
        let take = move |body: Bytes| async move {
            let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
            seen.lock().unwrap_or_else(PoisonError::into_inner).extend(all(request));
            StatusCode::OK
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = Router::new().route("/v1/traces", post(take));
        let server = tokio::spawn(async move { drop(axum::serve(listener, app).await) });
        Ok(Self { url, spans, server })
    }

    /// All that came so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn all(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in request.resource_spans {
        let of_resource = attributes(resource.resource.map(|resource| resource.attributes).unwrap_or_default());
        let service = of_resource.get("service.name").cloned().unwrap_or_default();
        let wire = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(wire.map(|wire| span(wire, &service)));
    }
    spans
}

fn span(wire: WireSpan, service: &str) -> Span {
    let kind = wire.kind();
    Span {
        service: service.to_owned(),
        trace: hex(&wire.trace_id),
        id: hex(&wire.span_id),
        parent: hex(&wire.parent_span_id),
        links: wire.links.iter().map(|link| hex(&link.trace_id)).collect(),
        kind,
        attributes: attributes(wire.attributes),
        is_error: wire.status.is_some_and(|status| status.code() == WireStatus::Error),
        nanos: wire.end_time_unix_nano.saturating_sub(wire.start_time_unix_nano),
        name: wire.name,
    }
}

fn attributes(wire: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |pair: KeyValue| match pair.value?.value? {
        Value::StringValue(text) => Some((pair.key, text)),
        other => Some((pair.key, format!("{other:?}"))),
    };
    wire.into_iter().filter_map(text).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
