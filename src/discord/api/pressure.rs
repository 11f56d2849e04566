//! What Discord's refusals to take more (status 429) do to all requests.

use std::sync::Arc;
use std::time::Duration;

use super::breaker::Breaker;
use super::limiter::Limiter;
use super::transport::{Answer, seconds};
use crate::telemetry::metrics::{DISCORD_RATE_LIMITED, Metrics};

/// How long to wait after a refusal that does not say.
pub(super) const UNKNOWN_WAIT: Duration = Duration::from_secs(1);
/// And at least, whatever it says.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// What Discord's refusals do to all requests.
pub(super) struct Pressure {
    pub(super) limiter: Limiter,
    pub(super) breaker: Breaker,
    pub(super) metrics: Arc<Metrics>,
}

impl Pressure {
    pub(super) fn new(requests_per_s: u32, metrics: Arc<Metrics>) -> Self {
        Self { limiter: Limiter::new(requests_per_s), breaker: Breaker::new(), metrics }
    }

    /// serenity's limiter met a 429, and waits.
    pub(super) fn refused(&self, wait: Duration, is_global: bool) {
        self.rate_limited(if is_global { "global" } else { "user" }, wait, is_global);
    }

    pub(super) fn rate_limited(&self, scope: &'static str, wait: Duration, is_global: bool) {
        self.metrics.count(DISCORD_RATE_LIMITED, scope, 1);
        tracing::debug!(discord.scope = scope, wait.ms = ms(wait), "discord.rate_limited");
        if is_global {
            self.limiter.pause(wait);
        }
        // Limits that others use up with us do not count.
        if scope != "shared" {
            self.breaker.count();
        }
    }
}

/// How long a 429 asks us to wait.
pub(super) fn retry_after(answer: &Answer) -> Duration {
    let from_body = || seconds(body(answer)["retry_after"].as_f64()?);
    let wait = answer.limits.retry_after.or_else(from_body).unwrap_or(UNKNOWN_WAIT);
    wait.max(SHORTEST_WAIT)
}

/// Whether a 429 is meant for all requests. One that is not from Discord itself but
/// from the servers before it has no JSON, and is meant for our address.
pub(super) fn is_global(answer: &Answer) -> bool {
    let body = body(answer);
    let is_foreign = body.is_null() && answer.limits.scope.is_none();
    answer.limits.is_global || body["global"].as_bool().unwrap_or(is_foreign)
}

pub(super) fn scope(answer: &Answer) -> &'static str {
    match answer.limits.scope.as_deref() {
        Some("shared") => "shared",
        Some("global") => "global",
        Some("user") => "user",
        _ if is_global(answer) => "global",
        _ => "unknown",
    }
}

fn body(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// For logs.
pub(super) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
