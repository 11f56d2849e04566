//! The engine, as this room sees it. The one file that knows the pool.

use std::sync::Arc;

use axum::http::StatusCode;

use super::refusal::Refusal;
use crate::completions::{FinishReason, Receipt, StopReason, Usage};
use crate::engine::{
    EngineError, EngineStats, FinishReason as EngineReason, GenerationRequest, GenerationSummary,
};
use crate::pool::{Aborter, Pool, PoolError, PoolEvent, PoolModel, PoolStream, WorkerStatus};

/// The engine.
pub(super) struct Backend {
    pool: Pool,
}

/// A completion that is being written. Dropping it ends it within a step.
pub(super) struct Generation {
    stream: PoolStream,
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
        Self { pool }
    }

    /// Begins a completion.
    pub(super) fn generate(&self, request: GenerationRequest) -> Result<Generation, Refusal> {
        let model = self.pool.model();
        let stream = self.pool.generate(&model, request).map_err(|error| self.refusal(&error))?;
        Ok(Generation { aborter: stream.aborter(), stream })
    }

    /// Why no completion could be written now, if none could.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let reports = self.pool.workers_report();
        if reports.iter().any(|worker| worker.status == WorkerStatus::Ready) {
            return Ok(());
        }
        let reasons = reports.into_iter().map(|worker| match worker.reason {
            Some(reason) => reason,
            None => format!("{} is {}", worker.name, worker.status),
        });
        Err(unavailable(reasons.collect::<Vec<_>>().join("; ")))
    }

    pub(super) fn stats(&self) -> EngineStats {
        self.pool.stats()
    }

    /// The model, as of now.
    pub(super) fn model(&self) -> Arc<PoolModel> {
        self.pool.model()
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
            PoolError::Busy { num_waiting, .. } => busy(*num_waiting, error.to_string()),
            error => unavailable(error.to_string()),
        }
    }

    fn engine_refusal(&self, error: &EngineError) -> Refusal {
        match error {
            EngineError::Busy { num_waiting, .. } => busy(*num_waiting, error.to_string()),
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
                PoolEvent::Started { .. } => continue,
                PoolEvent::Text(text) => Event::Text(text),
                PoolEvent::Finished(summary) => Event::End(Box::new(End::new(summary))),
                PoolEvent::Failed(error) => return Some(Err(backend.refusal(&error))),
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
            EngineReason::Eos | EngineReason::Sentence => (FinishReason::Stop, None),
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

/// Roughly: a batch takes some seconds.
fn busy(num_waiting: usize, message: String) -> Refusal {
    let seconds = (num_waiting / 8).clamp(1, 30) as u64;
    let status = StatusCode::TOO_MANY_REQUESTS;
    Refusal::new(status, "rate_limit_exceeded", message).retry_after(seconds)
}

/// A model's name for others. Where it was named by its path, what the path ends with:
/// where files lie here is nobody's business elsewhere.
pub(super) fn public_name(name: &str) -> &str {
    let last = name.rsplit('/').find(|part| !part.is_empty()).unwrap_or(name);
    match name.contains('/') {
        true => last.strip_suffix(".gguf").unwrap_or(last),
        false => name,
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
    fn a_path_is_not_told() {
        for (name, told) in [
            ("smollm2-135m-instruct", "smollm2-135m-instruct"),
            ("v1.gguf", "v1.gguf"),
            ("/srv/models/limarp.Q4_K_M.gguf", "limarp.Q4_K_M"),
            ("models/limarp/", "limarp"),
            ("/", "/"),
        ] {
            assert_eq!(public_name(name), told);
        }
    }
}
