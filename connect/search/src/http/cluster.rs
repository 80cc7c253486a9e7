//! Who is there and how it is: `GET /`, `_cluster/health`.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;

/// What a client checks before anything else: the version, and that this is no serverless project.
pub(super) async fn root(State(app): State<App>) -> Json<Value> {
    let config = &app.node.inner().config;
    Json(json!({
        "name": config.node_name,
        "cluster_name": config.cluster_name,
        "cluster_uuid": config.cluster_name,
        "version": {
            "number": config.reported_version,
            "build_flavor": "default",
            "build_type": "weir",
            "build_snapshot": false,
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    }))
}

/// Yellow when a shard could not be opened: the others answer.
pub(super) async fn health(State(app): State<App>) -> Json<Value> {
    let shards = &app.node.inner().shards;
    let (open, unreadable) = (shards.all().len(), shards.unreadable().len());
    Json(json!({
        "cluster_name": app.node.inner().config.cluster_name,
        "status": if unreadable == 0 { "green" } else { "yellow" },
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_primary_shards": open,
        "active_shards": open,
        "relocating_shards": 0,
        "initializing_shards": 0,
        "unassigned_shards": unreadable,
    }))
}
