//! A Discord of a few lines, for time that stands still.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::calls::Api;
use super::super::pressure::Pressure;
use super::super::transport::{Answer, Limits, Request, SendError, Transport};
use crate::telemetry::metrics::Metrics;

/// What it answers to the nth request.
pub(super) type Script = Box<dyn Fn(&Request, usize) -> Result<Answer, SendError> + Send + Sync>;

/// What happened.
#[derive(Default)]
pub(super) struct Seen {
    /// When which requests came.
    pub(super) requests: Vec<(Instant, String)>,
    pub(super) bodies: Vec<Value>,
    under_way: usize,
    /// The most that were under way at once.
    pub(super) most: usize,
}

pub(super) struct Fake {
    script: Script,
    latency: Duration,
    seen: Arc<Mutex<Seen>>,
}

/// An API over it, what it sees, and what is counted.
pub(super) struct Desk {
    pub(super) api: Api,
    pub(super) seen: Arc<Mutex<Seen>>,
    pub(super) metrics: Arc<Metrics>,
}

impl Desk {
    pub(super) fn new(
        script: impl Fn(&Request, usize) -> Result<Answer, SendError> + Send + Sync + 'static,
    ) -> Self {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let latency = Duration::from_millis(20);
        let fake = Fake { script: Box::new(script), latency, seen: seen.clone() };
        let metrics: Arc<Metrics> = Arc::default();
        let pressure = Arc::new(Pressure::new(50, metrics.clone()));
        Self { api: Api::over(Box::new(fake), pressure), seen, metrics }
    }

    /// What came, in order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.iter().map(|(_, request)| request.clone()).collect()
    }
}

impl Transport for Fake {
    fn send(
        &self,
        request: Arc<Request>,
        _latest: Instant,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, SendError>> + Send + '_>> {
        Box::pin(async move {
            let number = {
                let mut seen = self.seen.lock().unwrap();
                seen.requests.push((Instant::now(), request.to_string()));
                seen.bodies.push(request.body.clone().unwrap_or_default());
                seen.under_way += 1;
                seen.most = seen.most.max(seen.under_way);
                seen.requests.len() - 1
            };
            sleep(self.latency).await;
            self.seen.lock().unwrap().under_way -= 1;
            (self.script)(&request, number)
        })
    }
}

pub(super) fn answer(status: u16, body: &Value) -> Answer {
    Answer { status, limits: Limits::default(), body: body.to_string().into_bytes() }
}

/// A message that was made.
pub(super) fn made() -> Answer {
    answer(200, &json!({ "id": "1", "channel_id": "2", "author": { "id": "3" } }))
}

pub(super) fn refused(status: u16, code: u32) -> Answer {
    answer(status, &json!({ "message": "no", "code": code }))
}

pub(super) fn too_many(seconds: u64, scope: &str) -> Answer {
    let limits = Limits {
        retry_after: Some(Duration::from_secs(seconds)),
        is_global: scope == "global",
        scope: Some(scope.to_owned()),
        ..Limits::default()
    };
    Answer { limits, ..answer(429, &json!({ "retry_after": seconds, "global": false })) }
}

pub(super) fn cut() -> SendError {
    SendError::Cut { reason: "the connection broke".into(), limits: Limits::default() }
}
