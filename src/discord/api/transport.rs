//! What is sent, what comes back, and what a way to Discord is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use serenity::http::{LightMethod, Request as SerenityRequest};
use tokio::time::Instant;

use super::endpoint::{Endpoint, method_name};
use super::payload::File;

/// A request, complete but for the token.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) endpoint: Endpoint,
    pub(super) method: LightMethod,
    pub(super) params: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
    pub(super) files: Vec<File>,
    /// For how long it is worth waiting for its turn.
    pub(super) patience: Duration,
}

impl Request {
    /// Whether doing it twice is the same as doing it once.
    pub(super) fn is_idempotent(&self) -> bool {
        self.method != LightMethod::Post || matches!(self.endpoint, Endpoint::Typing(_))
    }

    /// What serenity sends. Files are no part of it.
    pub(super) fn to_serenity(&self) -> SerenityRequest<'_> {
        let request = SerenityRequest::new(self.endpoint.route(), self.method);
        let params = (!self.params.is_empty()).then(|| self.params.clone());
        let body = self.body_text().filter(|_| self.files.is_empty());
        request.params(params).body(body.map(String::into_bytes))
    }

    /// The body of a request with files.
    pub(super) fn form(&self) -> Form {
        let mut form = Form::new();
        if let Some(body) = self.body_text() {
            form = form.text("payload_json", body);
        }
        for (id, file) in self.files.iter().enumerate() {
            let part = Part::bytes(file.bytes.clone()).file_name(file.name.clone());
            form = form.part(format!("files[{id}]"), part);
        }
        form
    }

    fn body_text(&self) -> Option<String> {
        self.body.as_ref().map(Value::to_string)
    }
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) limits: Limits,
    pub(super) body: Vec<u8>,
}

/// What an answer says of limits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Limits {
    /// Which limit it was counted towards.
    pub(super) bucket: Option<String>,
    /// How many more requests until `reset_after`.
    pub(super) remaining: Option<u32>,
    pub(super) reset_after: Option<Duration>,
    /// How long to wait after a refusal.
    pub(super) retry_after: Option<Duration>,
    pub(super) is_global: bool,
    /// `user`, `global` or `shared`.
    pub(super) scope: Option<String>,
}

impl Limits {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name)?.to_str().ok();
        let seconds = |name| seconds(text(name)?.parse().ok()?);
        Self {
            bucket: text("x-ratelimit-bucket").map(str::to_owned),
            remaining: text("x-ratelimit-remaining").and_then(|text| text.parse().ok()),
            reset_after: seconds("x-ratelimit-reset-after"),
            retry_after: seconds("retry-after"),
            is_global: headers.contains_key("x-ratelimit-global"),
            scope: text("x-ratelimit-scope").map(str::to_owned),
        }
    }
}

/// Seconds that came from outside.
pub(super) fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// No answer came.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SendError {
    /// Discord surely did not get the request; another try may.
    NotSent(String),
    /// It can never be sent.
    Impossible(String),
    /// Discord may have got it, and even have answered.
    Cut {
        reason: String,
        /// Of an answer that was cut after its headers.
        limits: Limits,
    },
    /// Discord refused it for so long that it was given up.
    Refused(Duration),
}

/// A way to Discord.
pub(super) trait Transport: Send + Sync {
    /// Sends a request once, and waits for the answer. It is useless after `latest`.
    fn send(
        &self,
        request: Arc<Request>,
        latest: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, SendError>> + Send + '_>>;
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", method_name(self.method), self.endpoint.template())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_headers() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-ratelimit-bucket", "abcd"),
            ("x-ratelimit-remaining", "3"),
            ("x-ratelimit-reset-after", "1.25"),
            ("retry-after", "-1"),
            ("x-ratelimit-scope", "shared"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let limits = Limits::read(&headers);
        assert_eq!(limits.bucket.as_deref(), Some("abcd"));
        assert_eq!((limits.remaining, limits.retry_after), (Some(3), None));
        assert_eq!(limits.reset_after, Some(Duration::from_millis(1_250)));
        assert_eq!((limits.is_global, limits.scope.as_deref()), (false, Some("shared")));
    }
}
