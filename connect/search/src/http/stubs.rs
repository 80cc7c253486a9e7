//! What shippers ask before they send: licence, templates, lifecycles, pipelines, nodes.
//!
//! The answers say what is so: there are no templates and lifecycles, because fields are found in the documents and
//! retention is the node's own setting. Storing one is acknowledged with a warning that it has no effect; a pipeline,
//! which would change documents, is refused.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::App;
use super::answer::ErrorAnswer;

pub(super) async fn license() -> Json<Value> {
    Json(
        json!({ "license": { "status": "active", "type": "basic", "mode": "basic", "uid": "weir", "issuer": "weir" } }),
    )
}

/// Asked for by name: there is none.
pub(super) async fn missing() -> ErrorAnswer {
    ErrorAnswer::new(StatusCode::NOT_FOUND, "resource_not_found_exception", "there is none of this name")
}

/// All of a kind that there are none of.
pub(super) async fn none() -> Json<Value> {
    Json(json!({}))
}

pub(super) async fn no_templates() -> Json<Value> {
    Json(json!({ "index_templates": [] }))
}

/// Acknowledged, because shippers insist, with a warning that says the truth.
pub(super) async fn without_effect() -> Response {
    let warning = HeaderValue::from_static(
        "299 weir \"templates and lifecycles have no effect here: fields are found in the documents, retention is the node's setting\"",
    );
    ([(HeaderName::from_static("warning"), warning)], Json(json!({ "acknowledged": true }))).into_response()
}

pub(super) async fn no_pipelines() -> ErrorAnswer {
    let reason = "ingest pipelines are not run here: transform records in Connect before they are indexed";
    ErrorAnswer::bad_request("illegal_argument_exception", reason)
}

pub(super) async fn nodes(State(app): State<App>) -> Json<Value> {
    let config = &app.node.inner().config;
    let node =
        json!({ "name": config.node_name, "version": config.reported_version, "roles": ["data", "ingest", "master"] });
    Json(json!({
        "_nodes": { "total": 1, "successful": 1, "failed": 0 },
        "cluster_name": config.cluster_name,
        "nodes": { config.node_name.clone(): node },
    }))
}
