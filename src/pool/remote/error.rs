//! What went wrong at a server.

use std::fmt;

use reqwest::StatusCode;

use crate::completions::ErrorBody;

/// An error of a server, or of the way to it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{server} {kind}: {message}")]
pub struct RemoteError {
    /// Where.
    pub server: String,
    /// What, in a word.
    pub kind: RemoteErrorKind,
    /// What it said, or what was seen of it.
    pub message: String,
}

/// What went wrong, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteErrorKind {
    /// Nobody answers there, or the connection broke.
    Unreachable,
    /// It said nothing for too long.
    Stalled,
    /// It wants another key.
    Unauthorized,
    /// It has too much to do.
    Busy,
    /// It failed.
    Failed,
    /// It does not speak the protocol.
    Protocol,
    /// It does not take this request.
    Refused,
    /// It cannot be a worker of this pool.
    Unfit,
}

impl RemoteErrorKind {
    /// A stable label for metrics.
    fn label(self) -> &'static str {
        match self {
            Self::Unreachable => "remote_unreachable",
            Self::Stalled => "remote_stalled",
            Self::Unauthorized => "remote_unauthorized",
            Self::Busy => "remote_busy",
            Self::Failed => "remote_failed",
            Self::Protocol => "remote_protocol",
            Self::Refused => "remote_refused",
            Self::Unfit => "remote_unfit",
        }
    }
}

impl fmt::Display for RemoteErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "cannot be reached",
            Self::Stalled => "stands still",
            Self::Unauthorized => "does not let us in",
            Self::Busy => "is busy",
            Self::Failed => "failed",
            Self::Protocol => "answered what no completions server does",
            Self::Refused => "refused the request",
            Self::Unfit => "cannot be used here",
        })
    }
}

impl RemoteError {
    /// A stable label for metrics.
    pub fn kind(&self) -> &'static str {
        self.kind.label()
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        self.kind != RemoteErrorKind::Refused
    }

    /// Whether another worker may do better.
    pub(in crate::pool) fn is_of_worker(&self) -> bool {
        !matches!(self.kind, RemoteErrorKind::Refused | RemoteErrorKind::Busy)
    }

    pub(in crate::pool) fn is_busy(&self) -> bool {
        self.kind == RemoteErrorKind::Busy
    }

    /// What an answer that is no success says.
    pub(super) fn of_answer(server: &str, status: StatusCode, body: &[u8]) -> Self {
        let kind = match status.as_u16() {
            401 | 403 => RemoteErrorKind::Unauthorized,
            429 | 503 => RemoteErrorKind::Busy,
            404 | 405 => RemoteErrorKind::Protocol,
            400..500 => RemoteErrorKind::Refused,
            _ => RemoteErrorKind::Failed,
        };
        let told = serde_json::from_slice::<ErrorBody>(body).ok();
        let told = told.map(|body| body.error.message).filter(|message| !message.is_empty());
        let message = match (kind, told) {
            (RemoteErrorKind::Unauthorized, _) => {
                format!("status {status}; set workers.api_key to the key that it wants")
            }
            // What was wrong with a request is often said by repeating it: people's text.
            (RemoteErrorKind::Refused, _) => format!("status {status}"),
            (_, Some(message)) => format!("{status}: {}", first_line(&message)),
            (_, None) => format!("status {status}"),
        };
        Self { server: server.to_owned(), kind, message }
    }

    /// What a failed exchange looks like.
    pub(super) fn of_exchange(server: &str, error: &reqwest::Error) -> Self {
        let kind = match error.is_timeout() && !error.is_connect() {
            true => RemoteErrorKind::Stalled,
            false => RemoteErrorKind::Unreachable,
        };
        // The innermost cause is what tells; the outer ones repeat the address.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self { server: server.to_owned(), kind, message: cause.to_string() }
    }
}

/// At most so much of a server's words goes into a log.
const MAX_TOLD_BYTES: usize = 200;

pub(super) fn first_line(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    &line[..line.floor_char_boundary(MAX_TOLD_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whose_fault_it_is() {
        let error = |status: u16, body: &str| {
            RemoteError::of_answer(
                "http://a",
                StatusCode::from_u16(status).unwrap(),
                body.as_bytes(),
            )
        };
        let refused = error(400, r#"{"error":{"message":"too long\nprompt: secret"}}"#);
        assert!(!refused.is_transient() && !refused.is_of_worker());
        assert!(refused.to_string().contains("400") && !refused.to_string().contains("secret"));
        let failed = error(500, r#"{"error":{"message":"out of memory\nat x"}}"#).to_string();
        assert!(failed.contains("out of memory") && !failed.contains("at x"));
        assert!(error(503, "").is_busy() && error(429, "{}").is_busy());
        assert!(error(500, "oops").is_of_worker() && error(500, "oops").is_transient());
        let locked = error(401, r#"{"error":{"message":"Invalid API Key: abc"}}"#);
        assert!(locked.to_string().contains("workers.api_key"));
        assert!(!locked.to_string().contains("abc"));
    }
}
