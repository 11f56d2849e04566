//! One completion that is being written, from its beginning to its end.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::backend::{End, Event, Generation};
use super::refusal::Refusal;
use super::shared::{AtWork, Phase, Shared};
use crate::engine::GenerationRequest;
use crate::telemetry::metrics;

/// One completion that is being written. Dropping it ends it.
pub(super) struct Work {
    pub(super) shared: Arc<Shared>,
    generation: Generation,
    phase: watch::Receiver<Phase>,
    is_aborted: bool,
    outcome: Outcome,
    _at_work: AtWork,
}

impl Work {
    pub(super) fn begin(
        shared: &Arc<Shared>,
        request: GenerationRequest,
        at_work: AtWork,
    ) -> Result<Self, Refusal> {
        Ok(Self {
            generation: shared.backend.generate(request)?,
            phase: shared.phase.subscribe(),
            is_aborted: false,
            outcome: Outcome { began: Instant::now(), is_told: false },
            shared: shared.clone(),
            _at_work: at_work,
        })
    }

    /// What comes next; `None` after the end. When the worker's grace is over, that is
    /// the end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Result<Event, Refusal>> {
        let next = loop {
            tokio::select! {
                next = self.generation.next(&self.shared.backend) => break next,
                _ = self.phase.wait_for(|&phase| phase >= Phase::Ending), if !self.is_aborted => {
                    self.is_aborted = true;
                    self.generation.abort();
                }
            }
        };
        match &next {
            Some(Ok(Event::End(end))) => self.ended(end),
            Some(Err(refusal)) => self.outcome.tell(refusal.code()),
            _ => {}
        }
        next
    }

    fn ended(&mut self, end: &End) {
        let (usage, receipt) = (&end.usage, &end.receipt);
        let cached = usage.prompt_tokens_details.unwrap_or_default().cached_tokens;
        let metrics = &self.shared.metrics;
        metrics.count(metrics::PROMPT_TOKENS, "", usage.prompt_tokens as u64);
        metrics.count(metrics::CACHED_TOKENS, "", cached as u64);
        metrics.count(metrics::REPLY_TOKENS, "", usage.completion_tokens as u64);
        metrics.observe_ms(metrics::QUEUE_MS, "", receipt.queue_ms as f64);
        metrics.observe_ms(metrics::PREFILL_MS, "", receipt.prefill_ms as f64);
        metrics.observe_ms(metrics::DECODE_MS, "", receipt.decode_ms as f64);
        tracing::info!(
            prompt.tokens = usage.prompt_tokens,
            prompt.cached_tokens = cached,
            reply.tokens = usage.completion_tokens,
            engine.queue_ms = receipt.queue_ms,
            engine.prefill_ms = receipt.prefill_ms,
            engine.decode_ms = receipt.decode_ms,
            reply.finish_reason = receipt.finish_reason,
            "http.completion"
        );
        self.outcome.is_told = true;
    }
}

/// What became of a completion, told once.
struct Outcome {
    began: Instant,
    is_told: bool,
}

impl Outcome {
    fn tell(&mut self, outcome: &'static str) {
        self.is_told = true;
        let ms = self.began.elapsed().as_millis() as u64;
        tracing::info!(reply.outcome = outcome, http.ms = ms, "http.completion");
    }
}

/// Nobody waited for the end.
impl Drop for Outcome {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell("abandoned");
        }
    }
}
