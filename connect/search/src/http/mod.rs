//! HTTP in Elasticsearch's words: what Grafana's data source asks, and what shippers send.
//!
//! Reading order: [`answer`], [`cluster`] (who is there), [`search`], [`fields`], [`bulk`] (documents in), [`stubs`]
//! (what shippers ask first).
//!
//! Invariants: every answer, also an error, carries `X-Elastic-Product`. A handler never touches the index on the
//! runtime's threads.

mod answer;
mod bulk;
mod cluster;
mod fields;
mod search;
mod stubs;

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tower_http::decompression::RequestDecompressionLayer;

use crate::limits::BODY_BYTES_MAX;
use crate::node::SearchNode;
use answer::ErrorAnswer;
pub use bulk::{BulkAppendError, BulkItem, BulkLog};

#[derive(Clone)]
struct App {
    node: SearchNode,
    bulk: Option<Arc<dyn BulkLog>>,
    deletes: Arc<bulk::Deletes>,
}

/// Serves the node on a listener until `shutdown` resolves; requests under way are finished. Without a log, `_bulk`
/// says that it is not available.
pub async fn serve(
    node: SearchNode,
    listener: TcpListener,
    bulk: Option<Arc<dyn BulkLog>>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(node, bulk)).with_graceful_shutdown(shutdown).await
}

/// The routes alone, for a server that has its own.
pub fn router(node: SearchNode, bulk: Option<Arc<dyn BulkLog>>) -> Router {
    let indexed = |path: &str| format!("/{{index}}/{path}");
    Router::new()
        .route("/", get(cluster::root))
        .route("/_cluster/health", get(cluster::health))
        .route("/_cluster/health/{index}", get(cluster::health))
        .route("/_search", get(search::search).post(search::search))
        .route(&indexed("_search"), get(search::search_index).post(search::search_index))
        .route("/_count", get(search::count).post(search::count))
        .route(&indexed("_count"), get(search::count_index).post(search::count_index))
        .route("/_msearch", get(search::msearch).post(search::msearch))
        .route(&indexed("_msearch"), get(search::msearch_index).post(search::msearch_index))
        .route("/_field_caps", get(fields::caps).post(fields::caps))
        .route(&indexed("_field_caps"), get(fields::caps_of_index).post(fields::caps_of_index))
        .route("/_mapping", get(fields::mapping))
        .route(&indexed("_mapping"), get(fields::mapping_of_index))
        .route("/_resolve/index/{index}", get(fields::resolve))
        .route("/_cat/indices", get(fields::cat))
        .route("/_cat/indices/{index}", get(fields::cat_index))
        .route("/_bulk", post(bulk::bulk).put(bulk::bulk))
        .route(&indexed("_bulk"), post(bulk::bulk_of_index).put(bulk::bulk_of_index))
        .merge(probes())
        .fallback(unknown)
        .layer(RequestDecompressionLayer::new())
        .layer(middleware::map_response(with_product))
        .with_state(App { node, bulk, deletes: Arc::default() })
}

/// What shippers ask before they send.
fn probes() -> Router<App> {
    Router::new()
        .route("/_license", get(stubs::license))
        .route("/_nodes", get(stubs::nodes))
        .route("/_nodes/{*rest}", get(stubs::nodes))
        .route("/_ilm/policy", get(stubs::none))
        .route("/_ilm/policy/{name}", get(stubs::missing).put(stubs::without_effect))
        .route("/_index_template", get(stubs::no_templates))
        .route("/_index_template/{name}", get(stubs::missing).put(stubs::without_effect).post(stubs::without_effect))
        .route("/_template", get(stubs::none))
        .route("/_template/{name}", get(stubs::missing).put(stubs::without_effect).post(stubs::without_effect))
        .route("/_ingest/pipeline", get(stubs::none))
        .route("/_ingest/pipeline/{name}", get(stubs::missing).put(stubs::no_pipelines))
        .route("/_logstash/pipeline", get(stubs::none))
        .route("/_logstash/pipeline/{name}", get(stubs::missing).put(stubs::no_pipelines))
}

/// Clients refuse answers that don't carry this.
async fn with_product(mut response: Response) -> Response {
    let product = HeaderValue::from_static("Elasticsearch");
    response.headers_mut().insert(HeaderName::from_static("x-elastic-product"), product);
    response
}

async fn unknown(method: axum::http::Method, uri: Uri) -> ErrorAnswer {
    let reason = format!("no handler found for uri [{}] and method [{method}]", uri.path());
    ErrorAnswer::bad_request("illegal_argument_exception", reason)
}

/// The whole body after decompression, up to the limit.
async fn read_body(body: Body) -> Result<Bytes, ErrorAnswer> {
    axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(|error| {
        let reason = format!("the body could not be read or is longer than {BODY_BYTES_MAX} bytes: {error}");
        ErrorAnswer::new(StatusCode::PAYLOAD_TOO_LARGE, "content_too_long_exception", reason)
    })
}
