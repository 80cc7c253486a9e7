//! REST, shape-compatible with Kafka Connect 4: paths, bodies, status codes and error texts.
//!
//! Never holds state: every answer comes from the [`Runtime`](crate::runtime::Runtime).

mod connectors;
mod error;
mod loggers;
mod offsets;
mod plugins;

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::SetOnce;
use tokio_util::sync::CancellationToken;

use crate::definition::Plugins;
use crate::loggers::Loggers;
use crate::runtime::Runtime;
use error::RestError;

/// Largest request body: a configuration is small.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a request waits for the worker to have read its topics.
const STARTING_LIMIT: Duration = Duration::from_secs(30);
/// The version of Kafka Connect whose shapes these are.
const SHAPES_OF_VERSION: &str = "4.2.0";

/// Where the runtime appears once the worker has read its topics.
#[derive(Clone, Default)]
pub(crate) struct Slot {
    runtime: Arc<SetOnce<Arc<Runtime>>>,
}

impl Slot {
    pub(crate) fn fill(&self, runtime: Arc<Runtime>) {
        let _ = self.runtime.set(runtime);
    }

    /// For whoever must not keep the worker.
    pub(crate) fn downgrade(&self) -> Weak<SetOnce<Arc<Runtime>>> {
        Arc::downgrade(&self.runtime)
    }

    pub(crate) fn runtime(&self) -> Option<Arc<Runtime>> {
        self.runtime.get().cloned()
    }
}

/// What requests are answered from.
#[derive(Clone)]
pub(crate) struct Context {
    pub slot: Slot,
    pub plugins: Plugins,
    pub loggers: Arc<dyn Loggers>,
    /// The worker stops: nobody waits any longer.
    pub stop: CancellationToken,
}

impl Context {
    /// Waits, within a limit, until the worker has read its topics: before, it does not know its connectors.
    async fn runtime(&self) -> Result<Arc<Runtime>, RestError> {
        tokio::select! {
            runtime = self.slot.runtime.wait() => Ok(Arc::clone(runtime)),
            () = self.stop.cancelled() => Err(RestError::unavailable("the worker is stopping")),
            () = tokio::time::sleep(STARTING_LIMIT) => {
                Err(RestError::unavailable("the worker is still reading its topics: its log says whether its brokers answer"))
            }
        }
    }
}

pub(crate) fn router(context: Context) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/health", get(health))
        .route("/connectors", get(connectors::list).post(connectors::create))
        .route("/connectors/", get(connectors::list).post(connectors::create))
        .route("/connectors/{name}", get(connectors::info).delete(connectors::delete))
        .route(
            "/connectors/{name}/config",
            get(connectors::config).put(connectors::put_config).patch(connectors::patch_config),
        )
        .route("/connectors/{name}/status", get(connectors::status))
        .route("/connectors/{name}/tasks", get(connectors::tasks))
        .route("/connectors/{name}/tasks/{task}/status", get(connectors::task_status))
        .route("/connectors/{name}/tasks/{task}/restart", post(connectors::restart_task))
        .route("/connectors/{name}/restart", post(connectors::restart))
        .route("/connectors/{name}/pause", put(connectors::pause))
        .route("/connectors/{name}/resume", put(connectors::resume))
        .route("/connectors/{name}/stop", put(connectors::stop))
        .route("/connectors/{name}/offsets", get(offsets::get).patch(offsets::patch).delete(offsets::delete))
        .route("/connectors/{name}/topics", get(connectors::topics))
        .route("/connectors/{name}/topics/reset", put(connectors::reset_topics))
        .route("/admin/loggers", get(loggers::list))
        .route("/admin/loggers/{name}", get(loggers::get).put(loggers::put))
        .route("/connector-plugins", get(plugins::list))
        .route("/connector-plugins/{class}/config", get(plugins::config))
        .route("/connector-plugins/{class}/config/validate", put(plugins::validate))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(context)
}

/// Carries a change out to its end, also when who asked for it hangs up: half of one would leave a connector without tasks.
async fn to_its_end<T: Send + 'static>(change: impl Future<Output = T> + Send + 'static) -> T {
    let done = tokio::spawn(change).await;
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

async fn root(State(context): State<Context>) -> Json<Value> {
    let commit = concat!("weir-", env!("CARGO_PKG_VERSION"));
    let cluster_id = context.slot.runtime().and_then(|runtime| runtime.shared.cluster_id.clone());
    Json(json!({"version": SHAPES_OF_VERSION, "commit": commit, "kafka_cluster_id": cluster_id}))
}

/// As KIP-1017 has it.
async fn health(State(context): State<Context>) -> (StatusCode, Json<Value>) {
    match context.slot.runtime() {
        Some(_) => (StatusCode::OK, Json(json!({"status": "healthy", "message": "the worker has read its topics"}))),
        None => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"status": "starting", "message": "the worker is still reading its topics"})),
        ),
    }
}
