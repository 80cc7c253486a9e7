//! Groups over HTTP, for people and for `weir lag`: `GET /v1/groups` and `GET /v1/groups/{group}/status`.

use std::sync::{Arc, OnceLock};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use weir_control::lag::{GroupLag, LAG_PARTITIONS_MAX, PartitionLag};

use super::lag::GroupLags;
use crate::clock::now_ms;

/// Empty while the broker starts.
pub(crate) type StartedLags = Arc<OnceLock<Arc<GroupLags>>>;

/// `lag_seconds` is in seconds, `since_ms` in milliseconds since 1970.
pub(crate) fn routes(lags: StartedLags) -> Router {
    Router::new().route("/v1/groups", get(groups)).route("/v1/groups/{group}/status", get(status)).with_state(lags)
}

async fn groups(State(lags): State<StartedLags>) -> Response {
    let Some(lags) = lags.get() else { return starting() };
    let tracker = lags.look();
    let now_ms = now_ms();
    let groups: Vec<Value> = tracker.groups().map(|group| summary(&group, now_ms)).collect();
    Json(json!({ "groups": groups })).into_response()
}

async fn status(State(lags): State<StartedLags>, Path(group): Path<String>) -> Response {
    let Some(lags) = lags.get() else { return starting() };
    let tracker = lags.look();
    let now_ms = now_ms();
    match tracker.group(&group) {
        Some(group) => {
            let mut answer = summary(&group, now_ms);
            answer["partitions"] = group.worst_partitions().iter().map(|lag| partition(lag, now_ms)).collect();
            Json(answer).into_response()
        }
        None => {
            let message = format!("there is no group {group:?}; GET /v1/groups lists them");
            refusal(StatusCode::NOT_FOUND, &message)
        }
    }
}

fn starting() -> Response {
    refusal(StatusCode::SERVICE_UNAVAILABLE, "the broker is starting; weir_recovery_progress_ratio says how far it is")
}

/// In the shape of Kafka Connect's REST.
fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error_code": status.as_u16(), "message": message }))).into_response()
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
