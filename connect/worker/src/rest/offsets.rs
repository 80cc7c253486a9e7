//! `/connectors/{name}/offsets` (KIP-875): where a connector stands, and changing that while it is stopped.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Context;
use super::error::RestError;

type Answer = Result<Json<Value>, RestError>;

#[derive(Deserialize)]
pub(super) struct Offsets {
    offsets: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    partition: Map<String, Value>,
    offset: Option<Map<String, Value>>,
}

pub(super) async fn get(State(context): State<Context>, Path(name): Path<String>) -> Answer {
    let offsets = context.runtime().await?.connector_offsets(&name).await?;
    let entry = |(partition, offset)| json!({"partition": partition, "offset": offset});
    Ok(Json(json!({"offsets": offsets.into_iter().map(entry).collect::<Vec<_>>()})))
}

pub(super) async fn patch(
    State(context): State<Context>,
    Path(name): Path<String>,
    body: Result<Json<Offsets>, JsonRejection>,
) -> Answer {
    let entries = body?.0.offsets.into_iter().map(|entry| (entry.partition, entry.offset)).collect();
    context.runtime().await?.alter_offsets(&name, entries).await?;
    Ok(message("altered"))
}

pub(super) async fn delete(State(context): State<Context>, Path(name): Path<String>) -> Answer {
    let runtime = context.runtime().await?;
    let offsets = runtime.connector_offsets(&name).await?;
    runtime.alter_offsets(&name, offsets.into_iter().map(|(partition, _)| (partition, None)).collect()).await?;
    Ok(message("reset"))
}

fn message(done: &str) -> Json<Value> {
    Json(json!({"message": format!("The offsets for this connector have been {done} successfully")}))
}
