//! `/connectors` and what lies below it, but for offsets.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use weir_connect_api::ConnectorKind;

use super::error::RestError;
use super::{Context, to_its_end};
use crate::runtime::{RawConfig, Restart, Runtime, RuntimeError, TaskView, View};
use crate::state::TargetState;

type Answer = Result<Json<Value>, RestError>;

#[derive(Deserialize)]
pub(super) struct NewConnector {
    name: String,
    config: IndexMap<String, Value>,
    initial_state: Option<String>,
}

pub(super) async fn list(State(context): State<Context>, RawQuery(query): RawQuery) -> Answer {
    let runtime = context.runtime().await?;
    let query = query.unwrap_or_default();
    let expands = |what: &str| query.split('&').any(|pair| pair == format!("expand={what}"));
    let (with_status, with_info) = (expands("status"), expands("info"));
    if !with_status && !with_info {
        return Ok(Json(json!(runtime.names())));
    }
    let mut all = Map::new();
    for view in runtime.names().iter().filter_map(|name| runtime.view(name).ok()) {
        let mut entry = Map::new();
        if with_status {
            entry.insert("status".to_owned(), status_of(&view, &runtime.shared.worker_id));
        }
        if with_info {
            entry.insert("info".to_owned(), info_of(&view));
        }
        all.insert(view.name, Value::Object(entry));
    }
    Ok(Json(Value::Object(all)))
}

pub(super) async fn create(
    State(context): State<Context>,
    body: Result<Json<NewConnector>, JsonRejection>,
) -> Result<Response, RestError> {
    let Json(wanted) = body?;
    let runtime = context.runtime().await?;
    let target = match wanted.initial_state.as_deref() {
        None => TargetState::Started,
        Some(text) => TargetState::parse(text).ok_or_else(|| {
            RestError::bad_request(format!("initial_state `{text}` is not RUNNING, PAUSED or STOPPED"))
        })?,
    };
    let (raw, name, changed) = (strings(wanted.config)?, wanted.name.clone(), Arc::clone(&runtime));
    to_its_end(async move { changed.create(&name, raw, target).await }).await?;
    let location = HeaderValue::from_str(&format!("/connectors/{}", wanted.name));
    let location = location.map_err(|_| RestError::bad_request("a connector's name cannot be a part of an address"))?;
    let headers = HeaderMap::from_iter([(header::LOCATION, location)]);
    Ok((StatusCode::CREATED, headers, Json(info_of(&runtime.view(&wanted.name)?))).into_response())
}

pub(super) async fn info(State(context): State<Context>, Path(name): Path<String>) -> Answer {
    Ok(Json(info_of(&context.runtime().await?.view(&name)?)))
}

pub(super) async fn config(State(context): State<Context>, Path(name): Path<String>) -> Answer {
    Ok(Json(json!(context.runtime().await?.view(&name)?.config)))
}

pub(super) async fn put_config(
    State(context): State<Context>,
    Path(name): Path<String>,
    body: Result<Json<IndexMap<String, Value>>, JsonRejection>,
) -> Result<(StatusCode, Json<Value>), RestError> {
    let runtime = context.runtime().await?;
    let created = put(&runtime, &name, strings(body?.0)?).await?;
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(info_of(&runtime.view(&name)?))))
}

async fn put(runtime: &Arc<Runtime>, name: &str, raw: RawConfig) -> Result<bool, RestError> {
    let (runtime, name) = (Arc::clone(runtime), name.to_owned());
    Ok(to_its_end(async move { runtime.put(&name, raw).await }).await?)
}

/// Merges; null removes (KIP-477).
pub(super) async fn patch_config(
    State(context): State<Context>,
    Path(name): Path<String>,
    body: Result<Json<IndexMap<String, Value>>, JsonRejection>,
) -> Answer {
    let runtime = context.runtime().await?;
    let mut config = runtime.view(&name)?.config;
    for (key, value) in body?.0 {
        if value.is_null() {
            config.shift_remove(&key);
        } else {
            config.insert(key, string(value)?);
        }
    }
    put(&runtime, &name, config).await?;
    Ok(Json(info_of(&runtime.view(&name)?)))
}

pub(super) async fn delete(State(context): State<Context>, Path(name): Path<String>) -> Result<StatusCode, RestError> {
    let runtime = context.runtime().await?;
    to_its_end(async move { runtime.delete(&name).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn status(State(context): State<Context>, Path(name): Path<String>) -> Answer {
    let runtime = context.runtime().await?;
    Ok(Json(status_of(&runtime.view(&name)?, &runtime.shared.worker_id)))
}

pub(super) async fn tasks(State(context): State<Context>, Path(name): Path<String>) -> Answer {
    let view = context.runtime().await?.view(&name)?;
    let task = |task: &TaskView| json!({"id": {"connector": view.name, "task": task.id}, "config": view.config});
    Ok(Json(view.tasks.iter().map(task).collect()))
}

pub(super) async fn task_status(State(context): State<Context>, Path((name, task)): Path<(String, usize)>) -> Answer {
    let runtime = context.runtime().await?;
    let view = runtime.view(&name)?;
    let found = view.tasks.get(task).map(|task| task_status_of(task, &runtime.shared.worker_id));
    let missing = || RestError::new(StatusCode::NOT_FOUND, format!("No status found for task {name}-{task}"));
    Ok(Json(found.ok_or_else(missing)?))
}

pub(super) async fn restart_task(
    State(context): State<Context>,
    Path((name, task)): Path<(String, usize)>,
) -> Result<StatusCode, RestError> {
    let runtime = context.runtime().await?;
    to_its_end(async move { runtime.restart(&name, Restart::Task(task)).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// 204, or with `includeTasks` or `onlyFailed` 202 and the status (KIP-745).
pub(super) async fn restart(
    State(context): State<Context>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, RestError> {
    let runtime = context.runtime().await?;
    let query = query.unwrap_or_default();
    let asks = |what: &str| query.split('&').any(|pair| pair == format!("{what}=true"));
    // A connector by itself cannot fail here, so that of the failed ones none is left but tasks.
    let which = match (asks("includeTasks"), asks("onlyFailed")) {
        (false, _) => Restart::Connector,
        (true, false) => Restart::ConnectorAndTasks,
        (true, true) => Restart::FailedTasks,
    };
    let worker_id = runtime.shared.worker_id.clone();
    let shown = to_its_end(async move { runtime.restart(&name, which).await }).await?;
    if which == Restart::Connector && !asks("onlyFailed") {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok((StatusCode::ACCEPTED, Json(status_of(&shown, &worker_id))).into_response())
}

pub(super) async fn pause(State(context): State<Context>, Path(name): Path<String>) -> Result<StatusCode, RestError> {
    set_target(&context, name, TargetState::Paused).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn resume(State(context): State<Context>, Path(name): Path<String>) -> Result<StatusCode, RestError> {
    set_target(&context, name, TargetState::Started).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn stop(State(context): State<Context>, Path(name): Path<String>) -> Result<StatusCode, RestError> {
    set_target(&context, name, TargetState::Stopped).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn set_target(context: &Context, name: String, target: TargetState) -> Result<(), RestError> {
    let runtime = context.runtime().await?;
    Ok(to_its_end(async move { runtime.set_target(&name, target).await }).await?)
}

/// The topics that its tasks have used (KIP-558); for a connector that is not known, none.
pub(super) async fn topics(State(context): State<Context>, Path(name): Path<String>) -> Answer {
    let topics = context.runtime().await?.active_topics()?.of(&name);
    Ok(Json(json!({name: {"topics": topics}})))
}

pub(super) async fn reset_topics(
    State(context): State<Context>,
    Path(name): Path<String>,
) -> Result<StatusCode, RestError> {
    let runtime = context.runtime().await?;
    let topics = runtime.active_topics()?;
    if !runtime.shared.is_topic_reset_allowed {
        return Err(RuntimeError::Forbidden("Topic tracking reset is disabled.").into());
    }
    topics.reset(&name);
    Ok(StatusCode::ACCEPTED)
}

fn kind(kind: ConnectorKind) -> &'static str {
    match kind {
        ConnectorKind::Source => "source",
        ConnectorKind::Sink => "sink",
    }
}

fn info_of(view: &View) -> Value {
    let tasks: Vec<Value> = view.tasks.iter().map(|task| json!({"connector": view.name, "task": task.id})).collect();
    json!({"name": view.name, "config": view.config, "tasks": tasks, "type": kind(view.kind)})
}

fn status_of(view: &View, worker_id: &str) -> Value {
    let tasks: Vec<Value> = view.tasks.iter().map(|task| task_status_of(task, worker_id)).collect();
    json!({
        "name": view.name,
        "connector": {"state": view.state.as_str(), "worker_id": worker_id},
        "tasks": tasks,
        "type": kind(view.kind),
    })
}

fn task_status_of(task: &TaskView, worker_id: &str) -> Value {
    let mut status = json!({"id": task.id, "state": task.state.as_str(), "worker_id": worker_id});
    if let Some(trace) = &task.trace {
        status["trace"] = json!(trace);
    }
    status
}

/// Kafka Connect's values are strings; numbers and booleans are taken as they would be written.
pub(super) fn strings(config: IndexMap<String, Value>) -> Result<RawConfig, RestError> {
    config.into_iter().map(|(key, value)| Ok((key, string(value)?))).collect()
}

fn string(value: Value) -> Result<String, RestError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(_) | Value::Object(_) => {
            Err(RestError::bad_request(format!("a configuration's values are single values, not {value}")))
        }
    }
}
