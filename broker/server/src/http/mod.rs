//! The HTTP server: `/metrics`, `/metrics/compat`, `/health/live`, `/health/ready`, `/docs`, and whatever other parts of the process bring along. A
//! process without a broker serves the same.
//!
//! [`guard`] bounds what a connection may take, [`scrapes`] what scrapes cost; [`docs`] are the manual.
//!
//! Never asks the broker anything that takes long: metrics are counters in memory, health is a flag.

mod docs;
mod guard;
mod scrapes;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::config::listeners::parse_host_port;
use crate::config::value::{boolean, elements};
use crate::config::{ConfigError, Property, bad_value};
use crate::metrics::{Compat, Computed, render};
use crate::net::{BindError, listen};
use guard::{Guarded, Limits};
use scrapes::Scrapes;

const KEY: &str = "http.listeners";
const COMPAT_KEY: &str = "metrics.compat";
const COMPAT_OFF: &str = "metrics.compat is false in this process's configuration: set it to true to see the names of \
                          kafka_exporter and of Kafka's JMX metrics here. Weir's own are at /metrics.\n";
/// How long answers under way may take when the process stops.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// Sockets that hold their ports but do not answer yet.
pub struct BoundHttp {
    sockets: Vec<TcpListener>,
}

/// Whether the process does its work already.
pub type IsReady = Arc<dyn Fn() -> bool + Send + Sync>;

/// What a process shows of itself.
#[derive(Clone, Default)]
pub struct Shown {
    pub registry: Registry,
    /// What a broker adds to that.
    pub(crate) computed: Computed,
    /// `None`: `metrics.compat` is off.
    pub compat: Option<Compat>,
}

impl Shown {
    /// Of a process without a broker.
    pub fn of(registry: Registry, compat: Option<Compat>) -> Self {
        Self { registry, computed: Computed::default(), compat }
    }
}

/// Reads `metrics.compat`, for a process without a broker.
pub fn shows_compat(property: &Property) -> Result<bool, ConfigError> {
    boolean(&property.value).map_err(|reason| bad_value(COMPAT_KEY, property, reason))
}

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

    /// Serves `shown`, `extra` and the process's health until `stop`, on a thread of its own: it answers also while the
    /// caller's runtime has no time. `tasks` learn when it has ended.
    pub fn serve(self, shown: Shown, extra: Router, is_ready: IsReady, tasks: &TaskTracker, stop: &CancellationToken) {
        self.serve_within(Limits::default(), shown, extra, is_ready, tasks, stop);
    }

    fn serve_within(
        self,
        limits: Limits,
        shown: Shown,
        extra: Router,
        is_ready: IsReady,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let (native, compat) = (Scrapes::default(), Scrapes::default());
        let Shown { registry, computed, compat: compat_names } = shown;
        let app = Router::new()
            .route("/metrics", get(native.answers()))
            .route("/metrics/compat", if compat_names.is_some() { get(compat.answers()) } else { get(compat_off) })
            .route("/health/live", get(|| async { "ok\n" }))
            .merge(Router::new().route("/health/ready", get(ready)).with_state(is_ready))
            .merge(docs::router())
            .merge(extra);
        let (stop, token) = (stop.clone(), tasks.token());
        let scrapes = async move {
            let compat = async {
                if let Some(names) = compat_names {
                    compat.serve(|| names.render()).await;
                }
            };
            tokio::join!(native.serve(|| render(&registry, &computed)), compat);
        };
        let run = move || {
            if let Err(error) = run(self.sockets, &app, limits, scrapes, &stop) {
                error!(%error, "the HTTP server has ended: no metrics, no health");
            }
            drop(token);
        };
        if let Err(error) = thread::Builder::new().name("weir-http".to_owned()).spawn(run) {
            error!(%error, "the HTTP server has no thread: no metrics, no health");
        }
    }
}

/// Serves until `stop`, then for a short grace.
fn run(
    sockets: Vec<TcpListener>,
    app: &Router,
    limits: Limits,
    scrapes: impl Future<Output = ()> + Send + 'static,
    stop: &CancellationToken,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::spawn(scrapes);
        let servers = TaskTracker::new();
        for socket in sockets {
            // From the runtime that bound it to this one.
            let guarded = Guarded::new(TcpListener::from_std(socket.into_std()?)?, limits);
            let served = axum::serve(guarded, app.clone()).with_graceful_shutdown(stop.clone().cancelled_owned());
            servers.spawn(served.into_future());
        }
        servers.close();
        stop.cancelled().await;
        // Whoever does not take its answer by then is cut off.
        let _ = tokio::time::timeout(STOP_GRACE, servers.wait()).await;
        Ok(())
    })
}

async fn compat_off() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, COMPAT_OFF)
}

async fn ready(State(is_ready): State<IsReady>) -> Response {
    if is_ready() { "ok\n".into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response() }
}

#[cfg(test)]
mod tests;
