//! The HTTP server: `/metrics`, `/health/live`, `/health/ready`, and whatever other parts of the process bring along. A
//! process without a broker serves the same.
//!
//! Never asks the broker anything: metrics are counters in memory, health is a flag.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::config::listeners::parse_host_port;
use crate::config::value::elements;
use crate::config::{ConfigError, Property, bad_value};
use crate::metrics::render;
use crate::net::{BindError, listen};

const KEY: &str = "http.listeners";

/// Sockets that hold their ports but do not answer yet.
pub struct BoundHttp {
    sockets: Vec<TcpListener>,
}

/// Whether the process does its work already.
pub type IsReady = Arc<dyn Fn() -> bool + Send + Sync>;

/// Reads `http.listeners`, for a process without a broker.
pub fn listeners(property: &Property) -> Result<Vec<(String, u16)>, ConfigError> {
    let addresses: Result<_, String> = elements(&property.value).map(parse_host_port).collect();
    addresses.map_err(|reason| bad_value(KEY, property, reason))
}

/// Listens on every address of each host; nothing answers yet.
pub async fn bind(addresses: &[(String, u16)]) -> Result<BoundHttp, BindError> {
    let mut sockets = Vec::new();
    for (host, port) in addresses {
        let bound = listen(host, *port).await;
        sockets.extend(bound.map_err(|source| BindError { address: format!("http://{host}:{port}"), source })?);
    }
    Ok(BoundHttp { sockets })
}

impl BoundHttp {
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Serves `registry`, `extra` and the process's health, as tasks of `tasks`, until `stop`.
    pub fn serve(
        self,
        registry: Registry,
        extra: Router,
        is_ready: IsReady,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let app = Router::new()
            .route("/metrics", get(metrics))
            .with_state(registry)
            .route("/health/live", get(|| async { "ok\n" }))
            .merge(Router::new().route("/health/ready", get(ready)).with_state(is_ready))
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
    match render(&registry) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn ready(State(is_ready): State<IsReady>) -> Response {
    if is_ready() { "ok\n".into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response() }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn status(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn both_loopbacks_answer_and_readiness_follows_the_process() {
        let bound = bind(&[("localhost".to_owned(), 0)]).await.unwrap();
        let (addresses, tasks, stop) = (bound.addresses(), TaskTracker::new(), CancellationToken::new());
        let is_ready = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = Arc::clone(&is_ready);
        let ready: IsReady = Arc::new(move || flag.load(std::sync::atomic::Ordering::Relaxed));
        bound.serve(Registry::new(), Router::new(), ready, &tasks, &stop);
        for address in addresses {
            assert_eq!(status(address, "/health/live").await, "HTTP/1.1 200 OK");
            assert_eq!(status(address, "/metrics").await, "HTTP/1.1 200 OK");
            is_ready.store(false, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(status(address, "/health/ready").await, "HTTP/1.1 503 Service Unavailable");
            is_ready.store(true, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(status(address, "/health/ready").await, "HTTP/1.1 200 OK");
        }
    }
}
