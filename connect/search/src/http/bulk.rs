//! `_bulk`: actions go to a log, one path owns the index.
//!
//! An item is answered when the log has it durably; it is visible after the next commit of the sink that reads the
//! log. `refresh` therefore has no effect.
//!
//! `create` of an id that the index holds, or that the same request creates, is answered with 409 and not logged. What is
//! still on its way through the log is not known here: a `create` behind another one is answered with 201, and the first
//! document stays. While deletes may be on their way, the index alone decides.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answer::ErrorAnswer;
use super::{App, read_body};
use crate::index::document::Action;
use crate::limits::{BULK_ITEMS_MAX, ID_BYTES_MAX};

/// A delete that is older has reached the index, unless nothing reads the log: commits are seconds apart.
const DELETE_SETTLES_AFTER: Duration = Duration::from_secs(60);

/// One action of a bulk request, on its way into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkItem {
    pub index: String,
    pub id: String,
    pub action: Action,
    /// The document; for an update the fields that change; empty for a delete.
    pub source: Bytes,
}

/// Why the log did not take an item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BulkAppendError {
    /// The client should slow down and send it again: 429.
    #[error("the log takes no more at the moment: {0}")]
    Busy(String),
    /// The client should send it again later: 503.
    #[error("the log is not available: {0}")]
    Unavailable(String),
    /// It can never be taken: 400.
    #[error("{0}")]
    Refused(String),
}

/// Where bulk requests go: a topic that a sink reads into the index.
#[async_trait::async_trait]
pub trait BulkLog: Send + Sync {
    /// Appends items in order. Returns once they are durable: one result each, the offset where it is.
    async fn append(&self, items: Vec<BulkItem>) -> Vec<Result<i64, BulkAppendError>>;
}

pub(super) async fn bulk(State(app): State<App>, body: Body) -> Result<Response, ErrorAnswer> {
    run(&app, None, body).await
}

pub(super) async fn bulk_of_index(
    State(app): State<App>,
    Path(index): Path<String>,
    body: Body,
) -> Result<Response, ErrorAnswer> {
    run(&app, Some(index), body).await
}

async fn run(app: &App, index: Option<String>, body: Body) -> Result<Response, ErrorAnswer> {
    let Some(log) = &app.bulk else {
        let reason = "this search node takes no documents over HTTP: it runs without a broker to log them";
        return Err(ErrorAnswer::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable_exception", reason));
    };
    let started = Instant::now();
    let operations = parse(&read_body(body).await?, index.as_deref())?;
    let operations = refuse_existing(app, operations).await?;
    let items: Vec<BulkItem> =
        operations.iter().filter_map(|operation| operation.item.as_ref().ok()).cloned().collect();
    let mut appended = log.append(items).await.into_iter();
    let mut errors = false;
    let mut answers = Vec::with_capacity(operations.len());
    for operation in &operations {
        let answer = match &operation.item {
            Ok(item) => {
                let lost = || Err(BulkAppendError::Unavailable("it gave no answer for this item".to_owned()));
                answer(operation, item, &appended.next().unwrap_or_else(lost))
            }
            Err(error) => refusal(operation, error),
        };
        errors |= answer["error"].is_object();
        answers.push(json!({ operation.verb: answer }));
    }
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    // Shippers look for `"errors":false,"items":[` in the text: this order, no blanks.
    let body = format!(r#"{{"took":{took},"errors":{errors},"items":{}}}"#, Value::from(answers));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// When a delete was last put into the log.
#[derive(Default)]
pub(super) struct Deletes {
    last: Mutex<Option<Instant>>,
}

impl Deletes {
    fn note(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether one may not have reached the index yet.
    fn may_be_on_their_way(&self) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < DELETE_SETTLES_AFTER)
    }
}

/// Refuses to create what exists already, unless a delete may come before it: the index sees things in order.
async fn refuse_existing(app: &App, mut operations: Vec<Operation>) -> Result<Vec<Operation>, ErrorAnswer> {
    let has =
        |action: Action| operations.iter().flat_map(|operation| &operation.item).any(|item| item.action == action);
    if has(Action::Delete) {
        app.deletes.note();
    }
    if !has(Action::Create) || app.deletes.may_be_on_their_way() {
        return Ok(operations);
    }
    let node = Arc::clone(app.node.inner());
    let refuse = move || {
        let mut created = HashSet::new();
        for operation in &mut operations {
            let Some(item) = operation.item.as_ref().ok().filter(|item| item.action == Action::Create) else {
                continue;
            };
            let is_new = created.insert((item.index.clone(), item.id.clone()));
            if !is_new || node.shards.holds(&item.index, &item.id) {
                let reason = format!("[{}]: version conflict, the document exists already", item.id);
                let conflict = ErrorAnswer::new(StatusCode::CONFLICT, "version_conflict_engine_exception", reason);
                operation.item = Err(conflict);
            }
        }
        Ok(operations)
    };
    crate::node::blocking(refuse).await.map_err(|error| {
        ErrorAnswer::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable_shards_exception", error.to_string())
    })
}

fn answer(operation: &Operation, item: &BulkItem, appended: &Result<i64, BulkAppendError>) -> Value {
    let (result, status) = match item.action {
        Action::Append | Action::Index | Action::Create => ("created", 201),
        Action::Update { .. } => ("updated", 200),
        Action::Delete => ("deleted", 200),
    };
    match appended {
        Ok(offset) => json!({
            "_index": item.index,
            "_id": item.id,
            "_version": 1,
            "result": result,
            "_shards": { "total": 1, "successful": 1, "failed": 0 },
            "_seq_no": offset,
            "_primary_term": 1,
            "status": status,
        }),
        Err(error) => {
            let (status, kind) = match error {
                BulkAppendError::Busy(_) => (StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception"),
                BulkAppendError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable_shards_exception"),
                BulkAppendError::Refused(_) => (StatusCode::BAD_REQUEST, "document_parsing_exception"),
            };
            refusal(operation, &ErrorAnswer::new(status, kind, error.to_string()))
        }
    }
}

fn refusal(operation: &Operation, error: &ErrorAnswer) -> Value {
    json!({
        "_index": operation.index,
        "_id": operation.id,
        "status": error.status.as_u16(),
        "error": { "type": error.kind, "reason": error.reason },
    })
}

/// One action of the body, or why it is none.
struct Operation {
    verb: &'static str,
    index: Option<String>,
    id: Option<String>,
    item: Result<BulkItem, ErrorAnswer>,
}

#[derive(Deserialize, Default)]
struct Target {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id")]
    id: Option<Value>,
}

/// Splits the body into operations. A line that is no action fails the request: what follows could be anything.
fn parse(body: &[u8], default_index: Option<&str>) -> Result<Vec<Operation>, ErrorAnswer> {
    let mut lines = body.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let mut operations = Vec::new();
    while let Some((line_index, line)) = lines.next() {
        if operations.len() == BULK_ITEMS_MAX {
            let reason = format!("the request has more than {BULK_ITEMS_MAX} actions: send smaller ones");
            return Err(ErrorAnswer::new(StatusCode::PAYLOAD_TOO_LARGE, "content_too_long_exception", reason));
        }
        let (verb, target) = parse_action(line).map_err(|reason| {
            let reason = format!("Malformed action/metadata line [{}]: {reason}", line_index + 1);
            ErrorAnswer::bad_request("illegal_argument_exception", reason)
        })?;
        let source = if verb == "delete" {
            Bytes::new()
        } else {
            let Some((_, line)) = lines.next() else {
                let reason = format!("the action in line {} has no document after it", line_index + 1);
                return Err(ErrorAnswer::bad_request("illegal_argument_exception", reason));
            };
            Bytes::copy_from_slice(line.trim_ascii())
        };
        operations.push(operation(verb, target, source, default_index));
    }
    if operations.is_empty() {
        return Err(ErrorAnswer::bad_request("parse_exception", "request body is required"));
    }
    Ok(operations)
}

fn parse_action(line: &[u8]) -> Result<(&'static str, Target), String> {
    let action: serde_json::Map<String, Value> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let mut entries = action.into_iter();
    let (Some((verb, target)), None) = (entries.next(), entries.next()) else {
        return Err("an action is an object with one key".to_owned());
    };
    let verb = ["index", "create", "update", "delete"].into_iter().find(|known| *known == verb);
    let verb = verb.ok_or("expected one of index, create, update, delete")?;
    let target: Target = serde_json::from_value(target).map_err(|e| e.to_string())?;
    Ok((verb, target))
}

fn operation(verb: &'static str, target: Target, source: Bytes, default_index: Option<&str>) -> Operation {
    let index = target.index.or_else(|| default_index.map(str::to_owned));
    let id = target.id.map(|id| match id {
        Value::String(text) => text,
        other => other.to_string(),
    });
    let item = item(verb, index.as_deref(), id.as_deref(), source);
    Operation { verb, index, id, item }
}

fn item(verb: &str, index: Option<&str>, id: Option<&str>, source: Bytes) -> Result<BulkItem, ErrorAnswer> {
    let refused = |reason: &str| Err(ErrorAnswer::bad_request("illegal_argument_exception", reason));
    let Some(index) = index.filter(|index| !index.is_empty()) else {
        return refused("the action names no _index");
    };
    if let Err(error) = crate::index::name::validate(index) {
        return Err(ErrorAnswer::bad_request("invalid_index_name_exception", error.to_string()));
    }
    if id.is_some_and(|id| id.is_empty() || id.len() > ID_BYTES_MAX) {
        return refused(&format!("_id must have 1 to {ID_BYTES_MAX} bytes"));
    }
    let (action, source) = match (verb, id) {
        ("update", Some(_)) => update(&source)?,
        ("delete", Some(_)) => (Action::Delete, source),
        ("update" | "delete", None) => return refused("the action needs an _id"),
        ("create", Some(_)) => (Action::Create, source),
        (_, Some(_)) => (Action::Index, source),
        (_, None) => (Action::Append, source),
    };
    if action != Action::Delete && serde_json::from_slice::<serde_json::Map<String, Value>>(&source).is_err() {
        return Err(ErrorAnswer::bad_request("document_parsing_exception", "the document is not a JSON object"));
    }
    let id = id.map_or_else(|| uuid::Uuid::new_v4().simple().to_string(), str::to_owned);
    Ok(BulkItem { index: index.to_owned(), id, action, source })
}

/// `{"doc": {…}, "doc_as_upsert": true}`. Scripts are not run here.
fn update(source: &[u8]) -> Result<(Action, Bytes), ErrorAnswer> {
    #[derive(Deserialize)]
    struct Update {
        doc: Option<Value>,
        #[serde(default)]
        doc_as_upsert: bool,
    }
    let parsed: Result<Update, _> = serde_json::from_slice(source);
    match parsed {
        Ok(Update { doc: Some(doc), doc_as_upsert }) => {
            Ok((Action::Update { upsert: doc_as_upsert }, Bytes::from(doc.to_string())))
        }
        Ok(_) => {
            Err(ErrorAnswer::bad_request("illegal_argument_exception", "an update needs \"doc\"; scripts are not run"))
        }
        Err(error) => Err(ErrorAnswer::bad_request("document_parsing_exception", error.to_string())),
    }
}
