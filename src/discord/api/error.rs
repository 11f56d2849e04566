//! Why a request to Discord did not do what was asked.

use std::time::Duration;

use thiserror::Error;

/// Discord does not know a webhook by this id.
pub(crate) const UNKNOWN_WEBHOOK: u32 = 10_015;
/// A webhook's or an interaction's token is not, or no longer, right.
pub(super) const INVALID_WEBHOOK_TOKEN: u32 = 50_027;
/// We do not see the channel.
pub(super) const MISSING_ACCESS: u32 = 50_001;
/// We see it, but may not do that.
pub(super) const MISSING_PERMISSIONS: u32 = 50_013;
/// The thread is archived.
const ARCHIVED: u32 = 50_083;
/// The thread is locked.
const LOCKED: u32 = 160_005;
/// A message, or a title, was caught by the guild's own filter.
const BLOCKED: [u32; 2] = [200_000, 200_001];
/// A guild or channel has as many webhooks as it may have.
pub(crate) const TOO_MANY_WEBHOOKS: u32 = 30_007;

/// A request that did not do what was asked. Says nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ApiError {
    /// The bot's token is not, or no longer, valid.
    #[error("Discord does not accept the bot's token; give it a new one")]
    Unauthorized,
    /// We may not do that here.
    #[error("Discord does not let the bot do that here: {message} ({code})")]
    Forbidden {
        /// Discord's number for it.
        code: u32,
        /// Discord's words for it.
        message: String,
    },
    /// What it was to be done to is not there, or no longer.
    #[error("Discord does not find it: {message} ({code})")]
    NotFound {
        /// Discord's number for it.
        code: u32,
        /// Discord's words for it.
        message: String,
    },
    /// Discord does not take what we sent.
    #[error("Discord does not take it: {message} ({code}, status {status})")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// Discord's number for it.
        code: u32,
        /// Discord's words for it, fields included.
        message: String,
    },
    /// The thread is archived; nothing in it can be changed until it is opened again.
    #[error("the thread is archived")]
    Archived,
    /// The guild's own filter for messages did not let it through.
    #[error("the server's AutoMod did not let it through: {message}")]
    Blocked {
        /// Discord's words for it.
        message: String,
    },
    /// It would have to wait for longer than it is worth. It was not applied.
    #[error("too much is asked of Discord; in {} s it would be its turn", .wait.as_secs_f32().ceil())]
    RateLimited {
        /// For how long it would have had to wait.
        wait: Duration,
    },
    /// It was sent, and nobody knows what became of it: it may have been applied.
    #[error("Discord's answer was lost: {reason}")]
    Ambiguous {
        /// What happened.
        reason: String,
    },
    /// It was surely not applied.
    #[error("Discord was not asked: {reason}")]
    NotSent {
        /// Why not.
        reason: String,
    },
    /// What we wanted to send breaks a rule of Discord that we know.
    #[error("{reason}")]
    Invalid {
        /// Which one.
        reason: String,
    },
    /// It was applied, but we do not understand the answer.
    #[error("Discord's answer cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
}

impl ApiError {
    /// A webhook that is known to be gone, without asking.
    pub(crate) fn unknown_webhook() -> Self {
        Self::NotFound { code: UNKNOWN_WEBHOOK, message: "Unknown Webhook".to_owned() }
    }

    /// Surely not applied, because of `reason`.
    pub(crate) fn not_sent(reason: impl Into<String>) -> Self {
        Self::NotSent { reason: reason.into() }
    }

    /// Breaks a rule of Discord.
    pub(crate) fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid { reason: reason.into() }
    }

    /// Whether the same may succeed later, without anybody changing anything.
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Ambiguous { .. } | Self::NotSent { .. })
    }

    /// Whether Discord may have done it.
    pub(crate) fn may_have_been_applied(&self) -> bool {
        matches!(self, Self::Ambiguous { .. } | Self::Unreadable { .. })
    }

    /// Whether the thread is locked: only those who manage threads may write there.
    pub(crate) fn is_locked(&self) -> bool {
        self.code() == Some(LOCKED)
    }

    /// Discord's number for it, where it gave one.
    pub(crate) fn code(&self) -> Option<u32> {
        match self {
            Self::Forbidden { code, .. }
            | Self::NotFound { code, .. }
            | Self::Rejected { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// A stable label.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::NotFound { .. } => "not_found",
            Self::Rejected { .. } => "rejected",
            Self::Archived => "archived",
            Self::Blocked { .. } => "blocked",
            Self::RateLimited { .. } => "rate_limited",
            Self::Ambiguous { .. } => "ambiguous",
            Self::NotSent { .. } => "not_sent",
            Self::Invalid { .. } => "invalid",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// What a refusal means: an answer with a status from 300 to 499, but not 429.
    pub(super) fn from_refusal(status: u16, body: &[u8]) -> Self {
        let refusal = Refusal::read(status, body);
        let Refusal { code, message } = refusal;
        match (status, code) {
            // Also with status 401, though the bot's own token may be all right.
            (_, INVALID_WEBHOOK_TOKEN) => Self::NotFound { code, message },
            (_, ARCHIVED) => Self::Archived,
            (_, LOCKED) => Self::Forbidden { code, message },
            (_, code) if BLOCKED.contains(&code) => Self::Blocked { message },
            (401, _) => Self::Unauthorized,
            (403, _) => Self::Forbidden { code, message },
            (404, _) => Self::NotFound { code, message },
            _ => Self::Rejected { status, code, message },
        }
    }
}

/// What Discord writes into a refusal.
struct Refusal {
    code: u32,
    message: String,
}

/// The most characters of Discord's words that are kept.
const MAX_WORDS: usize = 300;

impl Refusal {
    fn read(status: u16, body: &[u8]) -> Self {
        let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let code = value["code"].as_u64().and_then(|code| u32::try_from(code).ok());
        let mut message = match value["message"].as_str() {
            Some(message) => message.to_owned(),
            None => format!("status {status}"),
        };
        fields(&value["errors"], &mut String::new(), &mut message);
        if let Some((end, _)) = message.char_indices().nth(MAX_WORDS) {
            message.truncate(end);
            message.push('…');
        }
        Self { code: code.unwrap_or(0), message }
    }
}

/// Adds what is wrong with single fields: `{"name": {"_errors": [{"message": …}]}}`.
fn fields(errors: &serde_json::Value, path: &mut String, message: &mut String) {
    let Some(errors) = errors.as_object() else { return };
    for (key, inner) in errors {
        if key == "_errors" {
            let words = inner.as_array().into_iter().flatten();
            for word in words.filter_map(|error| error["message"].as_str()) {
                message.push_str(&format!("; {path}: {word}"));
            }
            continue;
        }
        let length = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(key);
        fields(inner, path, message);
        path.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> ApiError {
        ApiError::from_refusal(status, body.as_bytes())
    }

    #[test]
    fn discords_numbers_decide_before_the_status() {
        let archived = refusal(400, r#"{"message": "Thread is archived", "code": 50083}"#);
        assert_eq!(archived, ApiError::Archived);
        let blocked = refusal(400, r#"{"message": "Blocked", "code": 200000}"#);
        assert_eq!(blocked, ApiError::Blocked { message: "Blocked".into() });
        let stale = refusal(401, r#"{"message": "Invalid Webhook Token", "code": 50027}"#);
        assert_eq!(stale.kind(), "not_found");
        assert!(refusal(400, r#"{"message": "Thread is locked", "code": 160005}"#).is_locked());
        assert_eq!(refusal(401, r#"{"message": "401: Unauthorized", "code": 0}"#), {
            ApiError::Unauthorized
        });
    }

    #[test]
    fn wrong_fields_are_named() {
        let body = r#"{"code": 50035, "message": "Invalid Form Body", "errors": {"components":
            {"0": {"label": {"_errors": [{"code": "X", "message": "Too long."}]}}}}}"#;
        let message = "Invalid Form Body; components.0.label: Too long.".to_owned();
        assert_eq!(refusal(400, body), ApiError::Rejected { status: 400, code: 50_035, message });
    }

    #[test]
    fn a_page_of_something_else_is_a_refusal_too() {
        let error = refusal(403, "<html>no</html>");
        assert_eq!(error, ApiError::Forbidden { code: 0, message: "status 403".into() });
    }

    #[test]
    fn what_may_have_been_applied_is_never_what_surely_was_not() {
        let ambiguous = ApiError::Ambiguous { reason: String::new() };
        assert!(ambiguous.may_have_been_applied() && ambiguous.is_retryable());
        let not_sent = ApiError::not_sent("no line");
        assert!(!not_sent.may_have_been_applied() && not_sent.is_retryable());
        assert!(!ApiError::invalid("too long").is_retryable());
    }
}
