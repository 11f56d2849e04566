//! Discord's refusals: status, code and message, in the shape of its JSON.
//! <https://docs.discord.com/developers/topics/opcodes-and-status-codes#json>

use serde_json::{Value, json};

/// Every code that the double gives, with its status and text.
const CODES: [(u64, u16, &str); 40] = [
    (10003, 404, "Unknown Channel"),
    (10004, 404, "Unknown Guild"),
    (10007, 404, "Unknown Member"),
    (10008, 404, "Unknown Message"),
    (10011, 404, "Unknown Role"),
    (10013, 404, "Unknown User"),
    (10014, 404, "Unknown Emoji"),
    (10015, 404, "Unknown Webhook"),
    (10062, 404, "Unknown interaction"),
    (10063, 404, "Unknown application command"),
    (20009, 403, "Explicit content cannot be sent to the desired recipient(s)"),
    (20028, 429, "The channel you are writing has hit the write rate limit"),
    (30007, 400, "Maximum number of webhooks reached (15)"),
    (30008, 400, "Maximum number of emojis reached (2000)"),
    (40005, 413, "Request entity too large"),
    (40060, 400, "Interaction has already been acknowledged."),
    (40067, 400, "A tag is required to create a forum post in this channel"),
    (50001, 403, "Missing Access"),
    (50005, 403, "Cannot edit a message authored by another user"),
    (50006, 400, "Cannot send an empty message"),
    (50007, 403, "Cannot send messages to this user"),
    (50008, 400, "Cannot send messages in a non-text channel"),
    (50013, 403, "Missing Permissions"),
    (50021, 403, "Cannot execute action on a system message"),
    (50024, 400, "Cannot execute action on this channel type"),
    (50027, 401, "Invalid Webhook Token"),
    (50034, 400, "You can only bulk delete messages that are under 14 days old."),
    (50035, 400, "Invalid Form Body"),
    (50083, 400, "Thread is archived"),
    (50109, 400, "The request body contains invalid JSON."),
    (160002, 400, "Cannot reply without permission to read message history"),
    (160004, 400, "A thread has already been created for this message"),
    (160005, 403, "Thread is locked"),
    (160006, 400, "Maximum number of active threads reached"),
    (200000, 400, "Message was blocked by automatic moderation"),
    (200001, 400, "Title was blocked by automatic moderation"),
    (220001, 400, "Webhooks posted to forum channels must have a thread_name or thread_id"),
    (220002, 400, "Webhooks posted to forum channels cannot have both a thread_name and thread_id"),
    (220003, 400, "Webhooks can only create threads in forum channels"),
    (300000, 400, "Unknown"),
];

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: u64,
    pub(crate) message: String,
    pub(crate) errors: Option<Value>,
}

impl Refusal {
    /// One of Discord's codes, with the status and the text that belong to it.
    pub(crate) fn of(code: u64) -> Self {
        let known = CODES.iter().find(|(known, ..)| *known == code);
        let (_, status, message) =
            known.unwrap_or_else(|| panic!("refusal.rs does not know Discord's code {code}"));
        Self { status: *status, code, message: (*message).into(), errors: None }
    }

    /// A refusal with no code of its own, such as 401 or 404.
    pub(crate) fn plain(status: u16, message: &str) -> Self {
        Self { status, code: 0, message: format!("{status}: {message}"), errors: None }
    }

    /// 50035 about one field (a dotted path).
    pub(crate) fn form(field: &str, code: &str, message: &str) -> Self {
        let mut errors = json!({"_errors": [{"code": code, "message": message}]});
        for part in field.rsplit('.') {
            errors = json!({ part: errors });
        }
        Self { errors: Some(errors), ..Self::of(50035) }
    }

    /// 50035: too long, or out of a range.
    pub(crate) fn length(field: &str, min: usize, max: usize) -> Self {
        let message = format!("Must be between {min} and {max} in length.");
        Self::form(field, "BASE_TYPE_BAD_LENGTH", &message)
    }

    pub(crate) fn body(&self) -> Value {
        let mut body = json!({"message": self.message, "code": self.code});
        if let Some(errors) = &self.errors {
            body["errors"] = errors.clone();
        }
        body
    }
}
