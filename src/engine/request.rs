//! What goes into the engine and what comes out: requests, events, errors.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::block_manager::IntegrityError;
use super::governor::LengthRange;
use crate::model::ModelError;
use crate::sampling::{SamplerParams, SamplerParamsError};
use crate::tokenizer::TokenizerError;

/// One text to be continued.
///
/// ```ignore
/// let request = GenerationRequest { max_tokens: 200, seed: 7, ..GenerationRequest::new(ids) };
/// ```
#[derive(Clone)]
pub struct GenerationRequest {
    /// Token ids, BOS included where the model wants one; at least one.
    pub prompt: Vec<u32>,
    /// Sequences share cached keys and values only under the same salt: one per guild,
    /// so that response times tell nobody what another guild wrote.
    pub cache_salt: u64,
    /// With whose text cached keys and values must go, as [`super::EngineHandle::forget_owner`]
    /// says; 0 is nobody.
    pub cache_owner: u64,
    /// The most tokens to generate, stops and EOS included; at least one.
    pub max_tokens: usize,
    /// Keeps the reply within a range of tokens, and ends it where a sentence ends, before
    /// `max_tokens`; `None` leaves that to the model.
    pub length_range: Option<LengthRange>,
    /// Strings that end the reply; none of them, nor any beginning of one that was
    /// completed later, is ever part of its text.
    pub stop: Vec<String>,
    /// How tokens are drawn; `banned_strings` are held to by going back and masking.
    pub sampler: SamplerParams,
    /// Same seed, same reply, up to rounding: see [`super::Engine`].
    pub seed: u64,
    /// Whether the prompt is only to be computed into the prefix cache, for a request that
    /// is expected: it runs while nobody else wants the device, and ends as
    /// [`FinishReason::Prefilled`].
    pub prefill_only: bool,
    /// Whether end-of-generation tokens are masked, so that only stops, `max_tokens`
    /// or the context end the reply.
    pub ignore_eos: bool,
    /// Whether one leading space is taken off the reply, as after `{char}:`.
    pub trim_start_space: bool,
    /// Whether the reply ends without white space and without a begun stop string
    /// (`\n### Inp`) that the end left over.
    pub trim_end: bool,
    /// Parent of the engine's span, so that a reply can be followed through the rooms.
    pub span: tracing::Span,
}

impl GenerationRequest {
    /// A request with neutral sampling, seed 0, no stops, no trimming, and no limit but
    /// the context.
    pub fn new(prompt: Vec<u32>) -> Self {
        Self {
            prompt,
            cache_salt: 0,
            cache_owner: 0,
            max_tokens: usize::MAX,
            length_range: None,
            stop: Vec::new(),
            sampler: SamplerParams::default(),
            seed: 0,
            prefill_only: false,
            ignore_eos: false,
            trim_start_space: false,
            trim_end: false,
            span: tracing::Span::none(),
        }
    }
}

/// Numbers only: a prompt is people's text.
impl fmt::Debug for GenerationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerationRequest")
            .field("num_prompt_tokens", &self.prompt.len())
            .field("max_tokens", &self.max_tokens)
            .field("num_stops", &self.stop.len())
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// What happens to a request, in this order: `Started`, any number of `Text`, and one
/// of `Finished` or `Failed`. An aborted request may finish without having started.
#[derive(Debug, Clone)]
pub enum GenerationEvent {
    /// It left the queue.
    Started {
        /// Tokens of the prompt that need not be computed.
        num_cached_tokens: usize,
        /// From `submit` to here.
        queue_ms: u64,
    },
    /// More of the reply, never empty: whole characters that stay.
    Text(String),
    /// The reply is complete.
    Finished(GenerationSummary),
    /// There will be no reply.
    Failed(EngineError),
}

/// Why a reply ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it.
    Eos,
    /// This stop string appeared.
    Stop(String),
    /// The range of its length was reached, and a sentence ended.
    Sentence,
    /// `max_tokens` were generated.
    Length,
    /// The context, or all KV blocks together, hold no further token.
    Context,
    /// The caller asked for it.
    Aborted,
    /// The prompt is computed, and no more was asked for.
    Prefilled,
}

impl FinishReason {
    /// A stable label for metrics and logs, without the stop string.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Eos => "eos",
            Self::Stop(_) => "stop",
            Self::Sentence => "sentence",
            Self::Length => "length",
            Self::Context => "context",
            Self::Aborted => "aborted",
            Self::Prefilled => "prefilled",
        }
    }
}

/// A finished reply and what it cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationSummary {
    /// The whole text: all deltas joined.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// The tokens as sampled, those of stops and EOS included.
    pub token_ids: Vec<u32>,
    /// Tokens of the prompt.
    pub num_prompt_tokens: usize,
    /// Of these, how many were found in the prefix cache.
    pub num_cached_tokens: usize,
    /// Of these, how many were brought back from below the KV cache for this reply.
    pub num_restored_tokens: usize,
    /// `token_ids.len()`.
    pub num_generated_tokens: usize,
    /// How often the sequence lost its KV blocks and was computed again.
    pub num_preemptions: usize,
    /// How often a banned string, or a stop below the reply's length, was taken back.
    pub num_rewinds: usize,
    /// Banned strings that stand in the text because going back did not help.
    pub num_banned_passed: usize,
    /// From `submit` to the first step.
    pub queue_ms: u64,
    /// From there to the first token.
    pub prefill_ms: u64,
    /// From there to the end.
    pub decode_ms: u64,
}

/// Why a request, or the engine itself, failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// Too many requests wait already.
    #[error("{num_waiting} requests are waiting, and no more than {max_waiting} may: try later")]
    Busy {
        /// Requests in the queue.
        num_waiting: usize,
        /// The admission limit.
        max_waiting: usize,
    },
    /// The prompt has no token.
    #[error("the prompt is empty: give at least one token, such as BOS")]
    EmptyPrompt,
    /// The prompt can never run.
    #[error(
        "the prompt has {num_prompt_tokens} tokens, but prompt and reply together must fit in \
         {context_tokens}: shorten the prompt, or give the engine a longer context or more KV blocks"
    )]
    PromptTooLong {
        /// Tokens of the prompt.
        num_prompt_tokens: usize,
        /// What one sequence may have: the context, or all KV blocks if they are fewer.
        context_tokens: usize,
    },
    /// A token that the model does not have.
    #[error("token {token} is not one of the model's {vocab_size}: use the model's own tokenizer")]
    UnknownToken {
        /// The token id.
        token: u32,
        /// How many the model has.
        vocab_size: usize,
    },
    /// A request that asks for nothing, or for something contradictory.
    #[error("malformed request: {0}")]
    Request(&'static str),
    /// Sampling parameters out of range.
    #[error(transparent)]
    Sampler(#[from] SamplerParamsError),
    /// Options that describe no engine.
    #[error("engine options: {0}")]
    Options(String),
    /// The model failed.
    #[error("the model failed: {0}")]
    Model(#[source] Arc<ModelError>),
    /// The model's tokenizer was refused.
    #[error("the model's tokenizer cannot be used: {0}")]
    Tokenizer(#[source] Arc<TokenizerError>),
    /// The model comes without a tokenizer.
    #[error("{} has no tokenizer: put the model's tokenizer.json beside it", _0.display())]
    NoTokenizer(PathBuf),
    /// The engine's thread could not be started.
    #[error("cannot start the engine's thread: {0}")]
    Spawn(#[source] Arc<std::io::Error>),
    /// The engine's thread hit a bug of ours; it takes no more requests.
    #[error("the engine broke down: {0}. This is a bug; restart the worker")]
    Panicked(String),
    /// The disk cache failed at what was asked of it.
    #[error("the disk cache: {0}")]
    DiskCache(String),
    /// The block accounting is wrong: a bug of ours.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// The engine was shut down.
    #[error("the engine is shut down")]
    Stopped,
}

impl EngineError {
    /// A stable label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::EmptyPrompt => "empty_prompt",
            Self::PromptTooLong { .. } => "prompt_too_long",
            Self::UnknownToken { .. } => "unknown_token",
            Self::Request(_) => "request",
            Self::Sampler(_) => "sampler",
            Self::Options(_) => "options",
            Self::Model(_) => "model",
            Self::Tokenizer(_) => "tokenizer",
            Self::NoTokenizer(_) => "no_tokenizer",
            Self::Spawn(_) => "spawn",
            Self::Panicked(_) => "panicked",
            Self::DiskCache(_) => "disk_cache",
            Self::Integrity(_) => "integrity",
            Self::Stopped => "stopped",
        }
    }

    /// Whether the same request may succeed later, on this engine or another.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Model(_) | Self::Panicked(_) | Self::Stopped)
    }
}

impl From<ModelError> for EngineError {
    fn from(error: ModelError) -> Self {
        Self::Model(Arc::new(error))
    }
}
