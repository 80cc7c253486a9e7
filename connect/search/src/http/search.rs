//! `_search`, `_msearch`, `_count`.

use std::collections::HashMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use futures::future::join_all;
use serde_json::{Value, json};

use super::answer::ErrorAnswer;
use super::{App, read_body};
use crate::aggs::AggError;
use crate::limits::{MSEARCH_MAX, SEARCH_WAIT_MAX};
use crate::query::dsl::QueryError;
use crate::search::execute;
use crate::search::request::{self, SearchError};

type Params = Query<HashMap<String, String>>;

pub(super) async fn search(State(app): State<App>, params: Params, body: Body) -> Result<Json<Value>, ErrorAnswer> {
    search_in(&app, None, &params, body).await
}

pub(super) async fn search_index(
    State(app): State<App>,
    Path(index): Path<String>,
    params: Params,
    body: Body,
) -> Result<Json<Value>, ErrorAnswer> {
    search_in(&app, Some(&index), &params, body).await
}

async fn search_in(app: &App, index: Option<&str>, params: &Params, body: Body) -> Result<Json<Value>, ErrorAnswer> {
    let body = with_params(parse_body(&read_body(body).await?)?, params);
    let mut answer = run(app, expressions(index), body).await?;
    if wants_plain_total(params) {
        flatten_total(&mut answer);
    }
    Ok(Json(answer))
}

/// Whether the client knows totals as numbers only, as before Elasticsearch 7.
fn wants_plain_total(params: &Params) -> bool {
    params.get("rest_total_hits_as_int").is_some_and(|flag| flag == "true")
}

fn flatten_total(answer: &mut Value) {
    if let Some(total) = answer.pointer_mut("/hits/total") {
        *total = total["value"].take();
    }
}

pub(super) async fn count(State(app): State<App>, params: Params, body: Body) -> Result<Json<Value>, ErrorAnswer> {
    count_in(&app, None, &params, body).await
}

pub(super) async fn count_index(
    State(app): State<App>,
    Path(index): Path<String>,
    params: Params,
    body: Body,
) -> Result<Json<Value>, ErrorAnswer> {
    count_in(&app, Some(&index), &params, body).await
}

async fn count_in(app: &App, index: Option<&str>, params: &Params, body: Body) -> Result<Json<Value>, ErrorAnswer> {
    let mut body = with_params(parse_body(&read_body(body).await?)?, params);
    if let Some(body) = body.as_object_mut() {
        body.insert("size".to_owned(), json!(0));
    }
    let answer = run(app, expressions(index), body).await?;
    Ok(Json(json!({ "count": answer["hits"]["total"]["value"], "_shards": answer["_shards"] })))
}

pub(super) async fn msearch(State(app): State<App>, params: Params, body: Body) -> Result<Json<Value>, ErrorAnswer> {
    msearch_in(&app, None, &params, body).await
}

pub(super) async fn msearch_index(
    State(app): State<App>,
    Path(index): Path<String>,
    params: Params,
    body: Body,
) -> Result<Json<Value>, ErrorAnswer> {
    msearch_in(&app, Some(&index), &params, body).await
}

/// One answer per pair of lines, in their order; what is wrong with one stays in its answer.
async fn msearch_in(app: &App, index: Option<&str>, params: &Params, body: Body) -> Result<Json<Value>, ErrorAnswer> {
    let started = std::time::Instant::now();
    let body = read_body(body).await?;
    let mut lines: Vec<&[u8]> = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    if lines.len() > 2 * MSEARCH_MAX {
        let reason = format!("the request has more than {MSEARCH_MAX} searches");
        return Err(ErrorAnswer::bad_request("illegal_argument_exception", reason));
    }
    let searches = lines.chunks(2).map(|pair| async move {
        let answer = match pair {
            [header, body] => one_of_many(app, index, header, body).await,
            _ => Err(ErrorAnswer::bad_request("parse_exception", "the last header has no search after it")),
        };
        answer.unwrap_or_else(|error| json!({ "error": error.error(), "status": error.status.as_u16() }))
    });
    let mut responses = join_all(searches).await;
    if wants_plain_total(params) {
        responses.iter_mut().for_each(flatten_total);
    }
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(json!({ "took": took, "responses": responses })))
}

async fn one_of_many(app: &App, index: Option<&str>, header: &[u8], body: &[u8]) -> Result<Value, ErrorAnswer> {
    let header = parse_body(header)?;
    let expressions = match &header["index"] {
        Value::String(index) => expressions(Some(index)),
        Value::Array(indexes) => indexes.iter().filter_map(Value::as_str).flat_map(split).collect(),
        _ => expressions(index),
    };
    let mut answer = run(app, expressions, parse_body(body)?).await?;
    answer["status"] = json!(200);
    Ok(answer)
}

async fn run(app: &App, expressions: Vec<String>, body: Value) -> Result<Value, ErrorAnswer> {
    let inner = app.node.inner();
    let result = run_bounded(app, expressions, body).await;
    if result.is_err() {
        inner.metrics.search_errors.inc();
    }
    result.map_err(|error| answer_of(&error))
}

async fn run_bounded(app: &App, expressions: Vec<String>, body: Value) -> Result<Value, SearchError> {
    let inner = app.node.inner();
    let permit = tokio::time::timeout(SEARCH_WAIT_MAX, inner.searches.clone().acquire_owned()).await;
    let Ok(Ok(permit)) = permit else { return Err(SearchError::Busy) };
    let worker = std::sync::Arc::clone(inner);
    let search = move || {
        let _held_until_done = permit;
        let started = std::time::Instant::now();
        let request = request::parse(&body)?;
        let shards = worker.shards.matching(&expressions);
        let unreadable = worker.shards.unreadable_count(&expressions);
        let label = shards.first().map_or_else(|| "__none".to_owned(), |shard| shard.name().base().to_owned());
        let result = execute::search(shards, unreadable, &request);
        worker.metrics.observe_search(&label, started.elapsed());
        result
    };
    match tokio::task::spawn_blocking(search).await {
        Ok(result) => result,
        Err(error) => Err(SearchError::CutOff(error.to_string())),
    }
}

/// `a,b*,-c` as a list.
fn expressions(index: Option<&str>) -> Vec<String> {
    index.map(|index| split(index).collect()).unwrap_or_default()
}

fn split(index: &str) -> impl Iterator<Item = String> + '_ {
    index.split(',').map(str::trim).filter(|index| !index.is_empty()).map(str::to_owned)
}

fn parse_body(body: &[u8]) -> Result<Value, ErrorAnswer> {
    if body.trim_ascii().is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|error| ErrorAnswer::bad_request("parsing_exception", error.to_string()))
}

/// `?q=…&size=…&from=…` in the place of a body.
fn with_params(mut body: Value, params: &Params) -> Value {
    let Some(object) = body.as_object_mut() else { return body };
    if let Some(query) = params.get("q") {
        object.insert("query".to_owned(), json!({ "query_string": { "query": query } }));
    }
    for key in ["size", "from"] {
        if let Some(count) = params.get(key) {
            object.insert(key.to_owned(), json!(count));
        }
    }
    body
}

fn answer_of(error: &SearchError) -> ErrorAnswer {
    let (status, kind) = match error {
        SearchError::Query(QueryError::QueryString { .. }) | SearchError::Compile(_) => {
            (StatusCode::BAD_REQUEST, "query_shard_exception")
        }
        SearchError::Query(_) => (StatusCode::BAD_REQUEST, "parsing_exception"),
        SearchError::Aggregation(AggError::TooManyBuckets { .. }) => {
            (StatusCode::BAD_REQUEST, "too_many_buckets_exception")
        }
        SearchError::Aggregation(_) | SearchError::Request(_) => {
            (StatusCode::BAD_REQUEST, "illegal_argument_exception")
        }
        SearchError::Index(_) | SearchError::CutOff(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "search_phase_execution_exception")
        }
        SearchError::Busy => (StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception"),
    };
    ErrorAnswer::new(status, kind, error.to_string())
}
