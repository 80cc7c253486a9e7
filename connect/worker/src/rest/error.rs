//! Errors as Kafka Connect writes them: `{"error_code": 404, "message": "…"}`.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::runtime::RuntimeError;

#[derive(Debug)]
pub(super) struct RestError {
    status: StatusCode,
    message: String,
}

impl RestError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let body = json!({"error_code": self.status.as_u16(), "message": self.message});
        (self.status, Json(body)).into_response()
    }
}

impl From<RuntimeError> for RestError {
    fn from(error: RuntimeError) -> Self {
        let status = match error {
            RuntimeError::Unknown(_) | RuntimeError::UnknownTask { .. } => StatusCode::NOT_FOUND,
            RuntimeError::Exists(_) => StatusCode::CONFLICT,
            RuntimeError::Invalid(_) | RuntimeError::NotStopped(_) | RuntimeError::Bad(_) => StatusCode::BAD_REQUEST,
            RuntimeError::Forbidden(_) => StatusCode::FORBIDDEN,
            RuntimeError::Cluster(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<JsonRejection> for RestError {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

pub(super) async fn not_found(uri: Uri) -> RestError {
    RestError::new(StatusCode::NOT_FOUND, format!("HTTP 404 Not Found: {}", uri.path()))
}

pub(super) async fn method_not_allowed() -> RestError {
    RestError::new(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed")
}
