//! `/admin/loggers`: levels of what the process logs, shown and set while it runs (KIP-495, KIP-976).

use std::str::FromStr;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tracing::level_filters::LevelFilter;

use super::Context;
use super::error::RestError;
use crate::loggers::LoggerLevel;

type Answer = Result<Json<Value>, RestError>;

/// The one word of Kafka Connect's levels that is not a level here.
const FATAL: &str = "FATAL";

pub(super) async fn list(State(context): State<Context>) -> Json<Value> {
    let levels = context.loggers.levels();
    Json(Value::Object(levels.into_iter().map(|(name, level)| (name, level_of(level))).collect()))
}

pub(super) async fn get(State(context): State<Context>, Path(name): Path<String>) -> Answer {
    let level = context.loggers.levels().get(&name).copied();
    let missing = || RestError::new(StatusCode::NOT_FOUND, format!("Logger {name} not found."));
    Ok(Json(level_of(level.ok_or_else(missing)?)))
}

/// The names of the loggers whose level changed; with `scope=cluster` 204. There is one worker: both scopes are it.
pub(super) async fn put(
    State(context): State<Context>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    body: Result<Json<Map<String, Value>>, JsonRejection>,
) -> Result<Response, RestError> {
    let Json(wanted) = body?;
    let text = wanted.get("level").and_then(Value::as_str);
    let text = text.ok_or_else(|| RestError::bad_request("Desired 'level' parameter was not specified in request."))?;
    let level =
        level(text).ok_or_else(|| RestError::new(StatusCode::NOT_FOUND, format!("invalid log level '{text}'.")))?;
    let changed = context.loggers.set(&name, level).map_err(RestError::bad_request)?;
    let query = query.unwrap_or_default();
    let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope=")).unwrap_or("worker");
    if scope.eq_ignore_ascii_case("cluster") {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if !scope.eq_ignore_ascii_case("worker") {
        tracing::debug!(scope, "a log level was set for a scope that is not known: taken as worker");
    }
    Ok(Json(changed).into_response())
}

fn level(text: &str) -> Option<LevelFilter> {
    if text.eq_ignore_ascii_case(FATAL) {
        return Some(LevelFilter::ERROR);
    }
    // A number is a level for tracing, but not for Kafka Connect.
    LevelFilter::from_str(text).ok().filter(|_| text.chars().all(|c| c.is_ascii_alphabetic()) && !text.is_empty())
}

fn level_of(level: LoggerLevel) -> Value {
    json!({"level": level.level.to_string().to_uppercase(), "last_modified": level.last_modified_ms})
}
