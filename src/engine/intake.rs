//! The engine's door: checks a request, counts who waits, and makes the pair of
//! generation and stream.
//!
//! Shared by the engine and its handles, so that a refusal needs no round trip to the
//! engine's thread.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::mpsc;

use super::banned::BannedStrings;
use super::generation::{Generation, Limits, Outlet};
use super::governor::{Governor, SentenceEnds};
use super::request::{EngineError, GenerationRequest};
use super::rewind::Rewinder;
use super::sequence::{Sequence, SequenceId};
use super::stop::StopStrings;
use super::stream::GenerationStream;
use super::text::{ReplyText, Trim};
use crate::sampling::{Sampler, Vocabulary};
use crate::tokenizer::{IncrementalDecoder, Tokenizer};

/// Requests in the background that may wait; a scene has one at most, and what comes
/// too late is computed when it is asked for.
pub(super) const MAX_BACKGROUND: usize = 64;

/// A request that was let in.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) sequence: Sequence,
    pub(super) generation: Generation,
}

#[derive(Debug)]
pub(super) struct Intake {
    tokenizer: Arc<Tokenizer>,
    vocabulary: Arc<Vocabulary>,
    sentence_ends: Arc<SentenceEnds>,
    /// Of the model; the tokenizer may know fewer or more.
    vocab_size: usize,
    context_tokens: usize,
    max_waiting: usize,
    num_waiting: Arc<AtomicUsize>,
    /// Those in the background, who take nobody's place.
    num_background: Arc<AtomicUsize>,
    next_id: AtomicU64,
    /// Why the engine's thread ended, once it has.
    exit: Arc<OnceLock<EngineError>>,
}

/// A place in the waiting queue, given back when dropped.
#[derive(Debug)]
pub(super) struct Ticket(Arc<AtomicUsize>);

impl Ticket {
    fn take(num_taken: &Arc<AtomicUsize>, max_waiting: usize) -> Result<Self, EngineError> {
        let take = |num_waiting| (num_waiting < max_waiting).then_some(num_waiting + 1);
        num_taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map(|_| Self(Arc::clone(num_taken)))
            .map_err(|num_waiting| EngineError::Busy { num_waiting, max_waiting })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Intake {
    pub(super) fn new(
        tokenizer: Arc<Tokenizer>,
        vocab_size: usize,
        context_tokens: usize,
        max_waiting: usize,
    ) -> Self {
        let ids = 0..u32::try_from(tokenizer.vocab_size()).expect("token ids are u32");
        Self {
            vocabulary: Arc::new(Vocabulary::new(ids.map(|id| tokenizer.token_bytes(id)))),
            sentence_ends: Arc::new(SentenceEnds::of(&tokenizer)),
            tokenizer,
            vocab_size,
            context_tokens,
            max_waiting,
            num_waiting: Arc::default(),
            num_background: Arc::default(),
            next_id: AtomicU64::new(0),
            exit: Arc::default(),
        }
    }

    pub(super) fn context_tokens(&self) -> usize {
        self.context_tokens
    }

    /// Requests between `submit` and their first step.
    pub(super) fn num_waiting(&self) -> usize {
        self.num_waiting.load(Ordering::Relaxed)
    }

    /// Records why the engine ended, for everyone who still waits.
    pub(super) fn close(&self, error: EngineError) {
        // The first reason stands.
        let _ = self.exit.set(error);
    }

    /// Why the engine ended, if it has.
    pub(super) fn exit(&self) -> Option<EngineError> {
        self.exit.get().cloned()
    }

    /// Checks a request and takes a place in the queue.
    pub(super) fn accept(
        &self,
        request: GenerationRequest,
    ) -> Result<(Submission, GenerationStream), EngineError> {
        self.check(&request)?;
        let sampler = Sampler::new(&request.sampler, request.seed, &self.vocabulary)?;
        let ticket = match request.prefill_only {
            true => Ticket::take(&self.num_background, MAX_BACKGROUND)?,
            false => Ticket::take(&self.num_waiting, self.max_waiting)?,
        };
        let (events, receiver) = mpsc::unbounded_channel();
        let abort = Arc::new(AtomicBool::new(false));
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        let id = match request.prefill_only {
            true => SequenceId::background(number),
            false => SequenceId(number),
        };
        let stream =
            GenerationStream::new(id, receiver, Arc::clone(&abort), Arc::clone(&self.exit));

        let banned = BannedStrings::new(&request.sampler.banned_strings);
        let governor = request.length_range.map(|range| {
            let room = self.context_tokens - request.prompt.len();
            let cap = request.max_tokens.min(room);
            Governor::new(range, cap, Arc::clone(&self.sentence_ends))
        });
        let takes_back = !banned.is_empty() || governor.as_ref().is_some_and(|it| it.holds(0));
        let rewinder = takes_back.then(Rewinder::default);
        let trim = Trim {
            start_space: request.trim_start_space,
            end: request.trim_end,
            rounds_off: governor.is_some(),
        };
        let span = tracing::info_span!(
            parent: &request.span,
            "engine.generate",
            num_prompt_tokens = request.prompt.len(),
            num_cached_tokens = tracing::field::Empty,
            num_generated_tokens = tracing::field::Empty,
            finish_reason = tracing::field::Empty,
        );
        let generation = Generation {
            id,
            tokenizer: Arc::clone(&self.tokenizer),
            limits: Limits {
                max_tokens: request.max_tokens,
                context_tokens: self.context_tokens,
                ignore_eos: request.ignore_eos,
            },
            sampler,
            text: ReplyText::new(StopStrings::new(request.stop), banned, trim),
            governor,
            rewinder,
            outlet: Outlet {
                events,
                abort,
                ticket: Some(ticket),
                span,
                submitted_at: Instant::now(),
                started_at: None,
                first_token_at: None,
            },
            decoder: IncrementalDecoder::new(),
            num_banned_passed: 0,
            num_cached_tokens: 0,
            restored_tokens: 0..0,
        };
        let mut sequence = Sequence::new(id, request.prompt, request.cache_salt);
        sequence.cache_owner = request.cache_owner;
        sequence.rewind_floor = generation.rewinder.as_ref().map(|_| sequence.num_prompt_tokens);
        Ok((Submission { sequence, generation }, stream))
    }

    fn check(&self, request: &GenerationRequest) -> Result<(), EngineError> {
        if let Some(error) = self.exit() {
            return Err(error);
        }
        let num_prompt_tokens = request.prompt.len();
        if num_prompt_tokens == 0 {
            return Err(EngineError::EmptyPrompt);
        }
        if num_prompt_tokens >= self.context_tokens {
            let context_tokens = self.context_tokens;
            return Err(EngineError::PromptTooLong { num_prompt_tokens, context_tokens });
        }
        let is_unknown = |&&token: &&u32| token as usize >= self.vocab_size;
        if let Some(&token) = request.prompt.iter().find(is_unknown) {
            return Err(EngineError::UnknownToken { token, vocab_size: self.vocab_size });
        }
        if request.max_tokens == 0 {
            return Err(EngineError::Request("max_tokens is 0; ask for at least one token"));
        }
        if request.length_range.is_some_and(|range| range.min_tokens > range.max_tokens) {
            return Err(EngineError::Request("the length's range ends before it begins"));
        }
        if request.stop.iter().any(String::is_empty) {
            return Err(EngineError::Request("a stop string is empty; leave it out"));
        }
        Ok(())
    }
}
