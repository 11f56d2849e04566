//! The engine, as this room sees it. The one file that knows the pool.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;

use super::refusal::Refusal;
use crate::completions::{FinishReason, Receipt, StopReason, Usage};
use crate::engine::{
    Aborter, EngineError, EngineStats, FinishReason as EngineReason, GenerationEvent,
    GenerationRequest, GenerationStream, GenerationSummary,
};
use crate::pool::{Pool, PoolError};

/// An engine with work takes no longer for one step, however slow its model.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// The engine.
pub(super) struct Backend {
    pool: Pool,
    watch: Mutex<Watch>,
}

/// Since when there is work and no step was made.
#[derive(Default)]
struct Watch {
    num_steps: u64,
    since: Option<Instant>,
}

/// A completion that is being written. Dropping it ends it within a step.
pub(super) struct Generation {
    stream: GenerationStream,
    aborter: Aborter,
}

/// What comes of it.
pub(super) enum Event {
    /// More text.
    Text(String),
    /// The end.
    End(Box<End>),
}

/// How a completion ended, and what it took.
pub(super) struct End {
    pub(super) finish_reason: FinishReason,
    pub(super) stop_reason: Option<StopReason>,
    pub(super) usage: Usage,
    pub(super) token_ids: Vec<u32>,
    pub(super) receipt: Receipt,
}

impl Backend {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, watch: Mutex::default() }
    }

    /// Begins a completion.
    pub(super) fn generate(&self, request: GenerationRequest) -> Result<Generation, Refusal> {
        let stream = self.pool.generate(request).map_err(|error| self.refusal(&error))?;
        Ok(Generation { aborter: stream.aborter(), stream })
    }

    /// Why no completion could be written now, if none could.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        // An engine that is gone says so before it looks at what it is asked; one that is
        // well refuses this, at the door.
        match self.pool.generate(GenerationRequest::new(Vec::new())).map_err(engine_error) {
            Err(Some(EngineError::EmptyPrompt)) | Ok(_) => {}
            Err(error) => {
                let reason = error.map_or_else(|| "it is gone".into(), |error| error.to_string());
                return Err(unavailable(reason));
            }
        }
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        match watch.observe(&self.pool.stats(), Instant::now()) {
            Some(stuck) if stuck > STUCK_AFTER => {
                Err(unavailable(format!("the engine made no step for {} s", stuck.as_secs())))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn stats(&self) -> EngineStats {
        self.pool.stats()
    }

    pub(super) fn model_name(&self) -> &str {
        self.pool.model_name()
    }

    pub(super) fn model_fingerprint(&self) -> &str {
        self.pool.model_fingerprint()
    }

    pub(super) fn context_tokens(&self) -> usize {
        self.pool.context_tokens()
    }

    /// The tokens of a text's beginning. Off the async threads: long texts take long.
    pub(super) async fn tokenize(&self, text: String, bos: bool) -> Result<Vec<u32>, Refusal> {
        let pool = self.pool.clone();
        let encode = move || {
            let tokenizer = pool.tokenizer();
            let bos = tokenizer.bos_id().filter(|_| bos);
            bos.into_iter().chain(tokenizer.encode_start(&text)).collect()
        };
        let encoded = tokio::task::spawn_blocking(encode).await;
        encoded.map_err(|_| internal("the tokenizer broke down. This is a bug"))
    }

    /// The text of tokens as a text's beginning.
    pub(super) fn detokenize(&self, ids: &[u32]) -> Result<String, Refusal> {
        let tokenizer = self.pool.tokenizer();
        let vocab_size = tokenizer.vocab_size();
        match ids.iter().find(|&&id| id as usize >= vocab_size) {
            Some(&id) => Err(unknown_token(id, vocab_size, "tokens")),
            None => Ok(tokenizer.decode_start(ids)),
        }
    }

    pub(super) async fn forget_owner(&self, owner: u64) -> Result<(), Refusal> {
        let forgotten = self.pool.forget_owner(owner).await;
        forgotten.map_err(|error| self.refusal(&error))
    }

    pub(super) async fn forget_salt(&self, salt: u64) -> Result<(), Refusal> {
        let forgotten = self.pool.forget_salt(salt).await;
        forgotten.map_err(|error| self.refusal(&error))
    }

    fn refusal(&self, error: &PoolError) -> Refusal {
        match error {
            PoolError::Engine(error) => self.engine_refusal(error),
            error => unavailable(error.to_string()),
        }
    }

    fn engine_refusal(&self, error: &EngineError) -> Refusal {
        match error {
            EngineError::Busy { num_waiting, .. } => {
                // Roughly: a batch takes some seconds.
                let seconds = (num_waiting / 8).clamp(1, 30) as u64;
                let message = error.to_string();
                let status = StatusCode::TOO_MANY_REQUESTS;
                Refusal::new(status, "rate_limit_exceeded", message).retry_after(seconds)
            }
            EngineError::EmptyPrompt => {
                Refusal::param("invalid_value", "prompt", "`prompt` is empty; give some text")
            }
            EngineError::PromptTooLong { num_prompt_tokens, context_tokens } => Refusal::param(
                "context_length_exceeded",
                "prompt",
                format!(
                    "This model's maximum context length is {context_tokens} tokens, of prompt \
                     and completion together; the prompt has {num_prompt_tokens}. Shorten it."
                ),
            ),
            EngineError::UnknownToken { token, vocab_size } => {
                unknown_token(*token, *vocab_size, "prompt")
            }
            EngineError::Request(_) | EngineError::Sampler(_) => {
                Refusal::new(StatusCode::BAD_REQUEST, "invalid_value", error.to_string())
            }
            EngineError::Stopped | EngineError::Panicked(_) => unavailable(error.to_string()),
            _ => internal(error.to_string()),
        }
    }
}

impl Generation {
    /// What comes next; `None` after the end. Cancel-safe.
    pub(super) async fn next(&mut self, backend: &Backend) -> Option<Result<Event, Refusal>> {
        loop {
            return Some(Ok(match self.stream.recv().await? {
                GenerationEvent::Started { .. } => continue,
                GenerationEvent::Text(text) => Event::Text(text),
                GenerationEvent::Finished(summary) => Event::End(Box::new(End::new(summary))),
                GenerationEvent::Failed(error) => return Some(Err(backend.engine_refusal(&error))),
            }));
        }
    }

    /// Ends it within a step, with the text it has.
    pub(super) fn abort(&self) {
        self.aborter.abort();
    }
}

impl End {
    fn new(summary: GenerationSummary) -> Self {
        let (finish_reason, stop_reason) = match &summary.finish_reason {
            EngineReason::Eos => (FinishReason::Stop, None),
            EngineReason::Stop(stop) => (FinishReason::Stop, Some(StopReason::Text(stop.clone()))),
            // Nothing was asked for, and that many tokens there are.
            EngineReason::Length | EngineReason::Context | EngineReason::Prefilled => {
                (FinishReason::Length, None)
            }
            EngineReason::Aborted => (FinishReason::Abort, None),
        };
        Self {
            finish_reason,
            stop_reason,
            usage: Usage::new(
                summary.num_prompt_tokens,
                summary.num_cached_tokens,
                summary.num_generated_tokens,
            ),
            receipt: Receipt {
                finish_reason: summary.finish_reason.kind().into(),
                num_restored_tokens: summary.num_restored_tokens,
                num_preemptions: summary.num_preemptions,
                num_rewinds: summary.num_rewinds,
                num_banned_passed: summary.num_banned_passed,
                queue_ms: summary.queue_ms,
                prefill_ms: summary.prefill_ms,
                decode_ms: summary.decode_ms,
            },
            token_ids: summary.token_ids,
        }
    }
}

impl Watch {
    /// For how long there was work and no step, as far as anybody looked.
    fn observe(&mut self, stats: &EngineStats, now: Instant) -> Option<Duration> {
        let is_idle = stats.num_running == 0 && stats.num_waiting == 0;
        if is_idle {
            self.since = None;
        } else if self.since.is_none() || self.num_steps != stats.totals.num_steps {
            self.since = Some(now);
        }
        self.num_steps = stats.totals.num_steps;
        self.since.map(|since| now - since)
    }
}

/// The engine's own error, if it is one.
fn engine_error(error: PoolError) -> Option<EngineError> {
    match error {
        PoolError::Engine(error) => Some(error),
        _ => None,
    }
}

fn unknown_token(token: u32, vocab_size: usize, param: &str) -> Refusal {
    let message = format!(
        "`{param}` holds token {token}, which is not one of the model's {vocab_size}: use the \
         model's own tokenizer"
    );
    Refusal::param("invalid_value", param, message)
}

fn unavailable(reason: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", reason).retry_after(5)
}

fn internal(reason: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_stuck_only_while_it_has_work_and_makes_no_step() {
        let stats = |num_running, num_steps| {
            let mut stats = EngineStats { num_running, ..EngineStats::default() };
            stats.totals.num_steps = num_steps;
            stats
        };
        let start = Instant::now();
        let mut watch = Watch::default();
        let mut observe = |running, steps, s| {
            let stuck = watch.observe(&stats(running, steps), start + Duration::from_secs(s));
            stuck.map(|stuck| stuck.as_secs())
        };
        assert_eq!(observe(0, 5, 0), None);
        // Idle for long, then work that has just begun.
        assert_eq!(observe(1, 5, 1_000), Some(0));
        assert_eq!(observe(1, 5, 1_130), Some(130));
        assert_eq!(observe(1, 6, 1_140), Some(0));
        assert_eq!(observe(0, 6, 1_150), None);
    }
}
