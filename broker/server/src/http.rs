//! The HTTP server: `/metrics`, `/health/live`, `/health/ready`, and whatever other parts of the process bring along.
//!
//! Never asks the broker anything: metrics are counters in memory, health is a flag.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::net::BindError;

/// Sockets that hold their ports but do not answer yet.
pub(crate) struct BoundHttp {
    sockets: Vec<TcpListener>,
}

/// Whether the broker serves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    is_ready: Arc<AtomicBool>,
}

impl Health {
    pub(crate) fn set_ready(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }
}

pub(crate) async fn bind(addresses: &[(String, u16)]) -> Result<BoundHttp, BindError> {
    let mut sockets = Vec::new();
    for (host, port) in addresses {
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        let socket = TcpListener::bind((host, *port)).await;
        sockets.push(socket.map_err(|source| BindError { address: format!("http://{host}:{port}"), source })?);
    }
    Ok(BoundHttp { sockets })
}

impl BoundHttp {
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.sockets.first().and_then(|socket| socket.local_addr().ok())
    }

    pub(crate) fn serve(
        self,
        registry: Registry,
        extra: Router,
        health: Health,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let app = Router::new()
            .route("/metrics", get(metrics))
            .with_state(registry)
            .route("/health/live", get(|| async { "ok\n" }))
            .merge(Router::new().route("/health/ready", get(ready)).with_state(health))
            .merge(extra);
        for socket in self.sockets {
            let (app, stop) = (app.clone(), stop.clone());
            tasks.spawn(async move {
                let served = axum::serve(socket, app).with_graceful_shutdown(stop.cancelled_owned());
                if let Err(error) = served.await {
                    warn!(%error, "the HTTP server has ended");
                }
            });
        }
    }
}

async fn metrics(State(registry): State<Registry>) -> Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn ready(State(health): State<Health>) -> Response {
    if health.is_ready.load(Ordering::Relaxed) {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response()
    }
}
