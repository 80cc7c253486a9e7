//! The HTTP server: `/metrics`, `/metrics/compat`, `/health/live`, `/health/ready`, `/docs`, and whatever other parts of the process bring along. A
//! process without a broker serves the same.
//!
//! [`guard`] and [`places`] bound what connections may take, [`shared`] what work costs that takes long; [`docs`] are the manual.
//!
//! Its own thread only waits for sockets and answers at once: metrics are written, and groups looked at, on others.

mod docs;
mod guard;
mod places;
mod shared;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::config::listeners::parse_host_port;
use crate::config::value::{boolean, elements};
use crate::config::{ConfigError, Property, bad_value};
use crate::metrics::{Compat, Computed, Exemplars, Format, render, runtime_alone};
use crate::net::{BindError, listen};
use guard::{Guarded, Limits};
use places::Places;
pub(crate) use shared::Shared;

const KEY: &str = "http.listeners";
const COMPAT_KEY: &str = "metrics.compat";
const COMPAT_OFF: &str = "metrics.compat is false in this process's configuration: set it to true to see the names of \
                          kafka_exporter and of Kafka's JMX metrics here. Weir's own are at /metrics.\n";
/// How long answers under way may take when the process stops.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// Threads for work that takes long: as many as there are kinds of it.
const WORK_THREADS_MAX: usize = 4;
/// How long one waits for more of it: longer than from one scrape to the next, because a thread that ends leaves memory behind.
const WORK_THREAD_KEPT: Duration = Duration::from_mins(10);

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
    pub(crate) exemplars: Exemplars,
    /// `None`: `metrics.compat` is off.
    pub compat: Option<Compat>,
}

impl Shown {
    /// Of a process without a broker. Must be called in the runtime that does its work.
    pub fn of(registry: Registry, compat: Option<Compat>) -> Self {
        Self { registry, computed: runtime_alone(), exemplars: Exemplars::default(), compat }
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
        let Shown { registry, computed, exemplars, compat } = shown;
        let native = page(move |format| render(&registry, &computed, &exemplars, format));
        let compat = match compat {
            Some(names) => get(scrape_text).with_state(page(move |_| names.render())),
            None => get(compat_off),
        };
        let app = Router::new()
            .route("/metrics", get(scrape).with_state(native))
            .route("/metrics/compat", compat)
            .route("/health/live", get(|| async { "ok\n" }))
            .merge(Router::new().route("/health/ready", get(ready)).with_state(is_ready))
            .merge(docs::router())
            .merge(extra);
        let (stop, token) = (stop.clone(), tasks.token());
        let run = move || {
            if let Err(error) = run(self.sockets, &app, limits, &stop) {
                error!(%error, "the HTTP server has ended: no metrics, no health");
            }
            // What computes metrics holds on to the data folder: whoever waits may open it again.
            drop(app);
            drop(token);
        };
        if let Err(error) = thread::Builder::new().name("weir-http".to_owned()).spawn(run) {
            error!(%error, "the HTTP server has no thread: no metrics, no health");
        }
    }
}

/// Serves until `stop`, then for a short grace.
fn run(sockets: Vec<TcpListener>, app: &Router, limits: Limits, stop: &CancellationToken) -> io::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime =
        runtime.max_blocking_threads(WORK_THREADS_MAX).thread_keep_alive(WORK_THREAD_KEPT).enable_all().build()?;
    let places = Places::new(limits.connections_max);
    runtime.block_on(async {
        let servers = TaskTracker::new();
        for socket in sockets {
            // From the runtime that bound it to this one.
            let guarded = Guarded::new(TcpListener::from_std(socket.into_std()?)?, &places, limits);
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

/// A page of metrics, or why there is none.
type Page = Result<Bytes, String>;

/// Written once for all that wait for it in one format.
fn page(write: impl Fn(Format) -> Result<String, prometheus::Error> + Send + Sync + 'static) -> Shared<Format, Page> {
    Shared::new(move |asked: &[Format]| {
        let mut pages: HashMap<Format, Page> = HashMap::new();
        let written = |format| write(format).map(Bytes::from).map_err(|error| error.to_string());
        asked.iter().map(|format| pages.entry(*format).or_insert_with(|| written(*format)).clone()).collect()
    })
}

async fn scrape(State(page): State<Shared<Format, Page>>, headers: HeaderMap) -> Response {
    answer(&page, Format::wanted(&headers)).await
}

async fn scrape_text(State(page): State<Shared<Format, Page>>) -> Response {
    answer(&page, Format::Text).await
}

async fn answer(page: &Shared<Format, Page>, format: Format) -> Response {
    match page.ask(format).await {
        Some(Ok(text)) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Some(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the page was not written\n").into_response(),
    }
}

async fn compat_off() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, COMPAT_OFF)
}

async fn ready(State(is_ready): State<IsReady>) -> Response {
    if is_ready() { "ok\n".into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, "starting\n").into_response() }
}

#[cfg(test)]
mod tests;
