//! Answers that are no success, as OpenAI's clients read them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::body::json;
use crate::completions::{ErrorBody, RequestError};

/// An answer that is no success: OpenAI's error object with a status.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    param: Option<String>,
    message: String,
    retry_after_s: Option<u64>,
}

/// OpenAI's word for what the client did wrong.
const INVALID: &str = "invalid_request_error";

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => INVALID,
        };
        Self { status, kind, code, param: None, message: message.into(), retry_after_s: None }
    }

    /// The client did something wrong with this field.
    pub(super) fn param(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        let param = Some(param.into());
        Self { param, ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// It may work after this many seconds.
    pub(super) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    pub(super) fn shutting_down() -> Self {
        let message = "the worker is shutting down; try another, or later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message).retry_after(5)
    }

    /// The reason in a word, for logs.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// What the answer holds.
    pub(super) fn body(&self) -> ErrorBody {
        ErrorBody::new(self.kind, &self.message, self.param.as_deref(), self.code)
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let param = error.name().map(Into::into);
        let refusal = Self::new(StatusCode::BAD_REQUEST, error.kind(), error.to_string());
        Self { param, ..refusal }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json(&self.body());
        *response.status_mut() = self.status;
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
