//! Answers in Elasticsearch's shapes.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error answer: `{"error": {root_cause, type, reason}, "status"}`.
#[derive(Debug, Clone)]
pub(crate) struct ErrorAnswer {
    pub(crate) status: StatusCode,
    /// Elasticsearch's name of the error, e.g. `parsing_exception`.
    pub(crate) kind: &'static str,
    pub(crate) reason: String,
}

impl ErrorAnswer {
    pub(crate) fn new(status: StatusCode, kind: &'static str, reason: impl Into<String>) -> Self {
        Self { status, kind, reason: reason.into() }
    }

    pub(crate) fn bad_request(kind: &'static str, reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind, reason)
    }

    /// The `error` object, as it also stands in an element of `responses` or `items`.
    pub(crate) fn error(&self) -> Value {
        let cause = json!({ "type": self.kind, "reason": self.reason });
        json!({ "root_cause": [cause], "type": self.kind, "reason": self.reason })
    }
}

impl IntoResponse for ErrorAnswer {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error(), "status": self.status.as_u16() });
        (self.status, Json(body)).into_response()
    }
}
