//! The double's memory of what was asked and done. Tests assert on it; nothing is
//! ever taken out.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::model::Author;

/// One request to the REST API.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// From 0, in order of arrival.
    pub(crate) number: usize,
    pub(crate) method: String,
    /// Without `/api/v10`, with its query.
    pub(crate) path: String,
    /// The path's shape, such as `/channels/{channel_id}/messages`; empty where
    /// Discord has no such path.
    pub(crate) template: &'static str,
    /// What shares one rate limit.
    pub(crate) bucket: String,
    pub(crate) body: Value,
    /// Names of the files that came with it.
    pub(crate) files: Vec<String>,
    pub(crate) started: Instant,
    pub(crate) ended: Option<Instant>,
    /// What was answered; none while it is open, or where the line was cut.
    pub(crate) status: Option<u16>,
    pub(crate) answer: Option<Value>,
    /// Whether it changed the world (or would have, were it not refused).
    pub(crate) applied: bool,
}

impl Entry {
    /// `POST /channels/{channel_id}/messages`.
    pub(crate) fn route(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    pub(crate) fn took(&self) -> Option<Duration> {
        self.ended.map(|ended| ended - self.started)
    }
}

/// What somebody did to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Posted,
    Edited,
    Deleted,
}

/// One change of one message.
#[derive(Clone, Debug)]
pub(crate) struct Deed {
    pub(crate) at: Instant,
    pub(crate) action: Action,
    pub(crate) channel: u64,
    pub(crate) message: u64,
    /// Who did it: a user, or a webhook.
    pub(crate) by: Author,
    /// The text after it, empty for a deletion.
    pub(crate) content: String,
    /// The request that did it; none where a test did.
    pub(crate) request: Option<usize>,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) requests: Vec<Entry>,
    pub(crate) deeds: Vec<Deed>,
    /// What Discord, or this project's own rules, forbid.
    pub(crate) violations: Vec<String>,
    /// The request that is being applied.
    pub(crate) current: Option<usize>,
}

impl Ledger {
    pub(crate) fn violation(&mut self, text: impl Into<String>) {
        let text = text.into();
        let entry = self.current.and_then(|number| self.requests.get(number));
        let text = match entry {
            Some(entry) => {
                let Entry { number, method, path, .. } = entry;
                // Tokens in paths are long, and say nothing.
                let path: String = path.chars().take(100).collect();
                format!("request {number} {method} {path}: {text}")
            }
            None => text,
        };
        // Two judges may say the same of one request.
        if entry.is_none() || !self.violations.contains(&text) {
            self.violations.push(text);
        }
    }

    /// Requests of one route, such as `POST /channels/{channel_id}/messages`.
    pub(crate) fn of(&self, route: &str) -> Vec<&Entry> {
        self.requests.iter().filter(|entry| entry.route() == route).collect()
    }

    /// The last requests, one a line, for a failing test's dump.
    pub(crate) fn tail(&self, count: usize) -> String {
        let skipped = self.requests.len().saturating_sub(count);
        let line = |entry: &Entry| {
            let status = entry.status.map_or("-".into(), |status| status.to_string());
            let text = entry.body.get("content").and_then(Value::as_str).unwrap_or_default();
            let text: String = text.chars().take(60).collect();
            format!("  {:>4} {status} {} {} {text}\n", entry.number, entry.method, entry.path)
        };
        self.requests[skipped..].iter().map(line).collect()
    }
}
