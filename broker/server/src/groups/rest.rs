//! Groups over HTTP, for people and for `weir lag`: `GET /v1/groups` and `GET /v1/groups/{group}/status`.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Value, json};
use weir_control::lag::{GroupLag, LAG_PARTITIONS_MAX, LagTracker, PartitionLag};

use super::OFFSETS_TOPIC;
use super::lag::GroupLags;
use crate::clock::now_ms;
use crate::http::Shared;

/// Empty while the broker starts.
pub(crate) type StartedLags = Arc<OnceLock<Arc<GroupLags>>>;

/// All groups, or one.
type Question = Option<String>;
/// A status and JSON.
type Answer = (StatusCode, Bytes);

/// `lag_seconds` is in seconds, `since_ms` in milliseconds since 1970.
pub(crate) fn routes(lags: StartedLags) -> Router {
    let looks = Shared::new(move |asked: &[Question]| answers(&lags, asked));
    Router::new().route("/v1/groups", get(groups)).route("/v1/groups/{group}/status", get(status)).with_state(looks)
}

async fn groups(State(looks): State<Shared<Question, Answer>>) -> Response {
    response(looks.ask(None).await)
}

async fn status(State(looks): State<Shared<Question, Answer>>, Path(group): Path<String>) -> Response {
    response(looks.ask(Some(group)).await)
}

fn response(answer: Option<Answer>) -> Response {
    let (status, json) = answer.unwrap_or_else(|| refusal(StatusCode::SERVICE_UNAVAILABLE, "the broker is stopping"));
    (status, [(header::CONTENT_TYPE, "application/json")], json).into_response()
}

/// One look at the groups for all who ask.
fn answers(lags: &StartedLags, asked: &[Question]) -> Vec<Answer> {
    let Some(lags) = lags.get() else { return asked.iter().map(|_| starting()).collect() };
    let tracker = lags.look();
    let now_ms = now_ms();
    let mut all: Option<Answer> = None;
    let answer = |question: &Question| match question {
        None => all.get_or_insert_with(|| all_groups(&tracker, now_ms)).clone(),
        Some(group) => one_group(lags, &tracker, group, now_ms),
    };
    asked.iter().map(answer).collect()
}

fn all_groups(tracker: &LagTracker, now_ms: i64) -> Answer {
    let groups: Vec<Value> = tracker.groups().map(|group| summary(&group, now_ms)).collect();
    (StatusCode::OK, json!({ "groups": groups }).to_string().into())
}

fn one_group(lags: &GroupLags, tracker: &LagTracker, group: &str, now_ms: i64) -> Answer {
    match tracker.group(group) {
        Some(group) => {
            let mut answer = summary(&group, now_ms);
            answer["partitions"] = group.worst_partitions().iter().map(|lag| partition(lag, now_ms)).collect();
            (StatusCode::OK, answer.to_string().into())
        }
        None if lags.coordinator().is_loading(group) => {
            let message =
                format!("the broker is still reading the partition of {OFFSETS_TOPIC} that tells of {group:?}");
            refusal(StatusCode::SERVICE_UNAVAILABLE, &message)
        }
        None => {
            let message = format!("there is no group {group:?}; GET /v1/groups lists them");
            refusal(StatusCode::NOT_FOUND, &message)
        }
    }
}

fn starting() -> Answer {
    refusal(StatusCode::SERVICE_UNAVAILABLE, "the broker is starting; weir_recovery_progress_ratio says how far it is")
}

/// In the shape of Kafka Connect's REST.
fn refusal(status: StatusCode, message: &str) -> Answer {
    (status, json!({ "error_code": status.as_u16(), "message": message }).to_string().into())
}

/// A group with its worst partition.
fn summary(group: &GroupLag<'_>, now_ms: i64) -> Value {
    let partitions = group.worst_partitions();
    let worst = partitions.first();
    let lags_ms = partitions.iter().map(|lag| lag.position.lag_ms(now_ms));
    json!({
        "group": group.group,
        "status": group.status.as_str(),
        "since_ms": group.since_ms,
        "members": group.member_count,
        "lag_records": partitions.iter().map(|lag| lag.position.lag_records()).sum::<i64>(),
        "lag_seconds": lags_ms.max().unwrap_or(0) as f64 / 1000.0,
        "lost_records": partitions.iter().map(|lag| lag.position.lost_records()).sum::<i64>(),
        "worst": worst.map(|lag| json!({
            "topic": lag.partition.topic,
            "partition": lag.partition.partition,
            "committed_offset": lag.position.committed_offset,
        })),
        "evidence": worst.map_or_else(|| nothing_known(group), PartitionLag::evidence),
    })
}

fn nothing_known(group: &GroupLag<'_>) -> String {
    match group.left_out {
        0 => "has committed nothing".to_owned(),
        left_out => format!(
            "not judged: lag is kept for {LAG_PARTITIONS_MAX} partitions of groups, and {left_out} of this group are beyond that"
        ),
    }
}

fn partition(lag: &PartitionLag<'_>, now_ms: i64) -> Value {
    let position = &lag.position;
    json!({
        "topic": lag.partition.topic,
        "partition": lag.partition.partition,
        "status": lag.status.as_str(),
        "since_ms": lag.since_ms,
        "committed_offset": position.committed_offset,
        "commit_timestamp_ms": position.commit_timestamp_ms,
        "log_start_offset": position.log_start_offset,
        "end_offset": position.end_offset,
        "lag_records": position.lag_records(),
        "lag_seconds": position.lag_ms(now_ms) as f64 / 1000.0,
        "lost_records": position.lost_records(),
        "evidence": lag.evidence(),
    })
}
