//! What belongs to one reply beside its sequence: sampler, text, limits, timings,
//! and the sender of its events.
//!
//! Invariant: exactly one of `Finished` and `Failed` is sent, last.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;
use tracing::Span;

use super::governor::Governor;
use super::intake::Ticket;
use super::request::{EngineError, FinishReason, GenerationEvent, GenerationSummary};
use super::rewind::{Checkpoint, Rewinder};
use super::sequence::{Sequence, SequenceId};
use super::text::{ReplyText, TextVerdict};
use crate::sampling::{self, Sampler};
use crate::tokenizer::{IncrementalDecoder, Tokenizer};

/// The limits of one sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_tokens: usize,
    pub(super) context_tokens: usize,
    pub(super) ignore_eos: bool,
}

/// What a new token did to the text.
enum Reading {
    On,
    Stopped(String),
    /// It came behind the sentence with which the reply ends.
    Over,
    /// It completed a banned string, which began with the token at this position.
    TakenBack(usize),
}

#[derive(Debug)]
pub(super) struct Generation {
    pub(super) id: SequenceId,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) limits: Limits,
    pub(super) sampler: Sampler,
    pub(super) text: ReplyText,
    /// `None` if nothing steers its length.
    pub(super) governor: Option<Governor>,
    /// `None` if nothing is ever taken back.
    pub(super) rewinder: Option<Rewinder>,
    pub(super) outlet: Outlet,
    pub(super) decoder: IncrementalDecoder,
    pub(super) num_banned_passed: usize,
    pub(super) num_cached_tokens: usize,
    /// Which tokens of the prompt were brought back from below the KV cache.
    pub(super) restored_tokens: Range<usize>,
}

/// Where a reply's events go, and when they happened.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) events: UnboundedSender<GenerationEvent>,
    pub(super) abort: Arc<AtomicBool>,
    /// Its place in the waiting queue, until it starts.
    pub(super) ticket: Option<Ticket>,
    pub(super) span: Span,
    pub(super) submitted_at: Instant,
    pub(super) started_at: Option<Instant>,
    pub(super) first_token_at: Option<Instant>,
}

impl Generation {
    /// Whether the caller no longer wants the reply.
    pub(super) fn is_cancelled(&self) -> bool {
        self.outlet.abort.load(Ordering::Relaxed) || self.outlet.events.is_closed()
    }

    /// Notes which tokens of the prompt came back from below the KV cache. What comes
    /// back after a preemption was computed once, and is not counted.
    pub(super) fn note_restored(&mut self, tokens: Range<usize>) {
        if self.outlet.started_at.is_none() {
            self.restored_tokens = tokens;
        }
    }

    /// Notes that the sequence runs. After a preemption it starts again, silently.
    pub(super) fn start(&mut self, num_cached_tokens: usize) {
        if self.outlet.started_at.is_some() {
            return;
        }
        self.num_cached_tokens = num_cached_tokens;
        let Range { start, end } = self.restored_tokens;
        self.restored_tokens = start..end.min(num_cached_tokens);
        self.outlet.ticket = None;
        let now = Instant::now();
        self.outlet.started_at = Some(now);
        let queue_ms = millis(self.outlet.submitted_at, now);
        tracing::debug!(parent: &self.outlet.span, num_cached_tokens, queue_ms, "started");
        self.outlet.send(GenerationEvent::Started { num_cached_tokens, queue_ms });
    }

    /// Appends a sampled token to `sequence` or takes tokens back, and shows what text
    /// may be shown. Tells why the reply ends, if it does.
    pub(super) fn advance(&mut self, token: u32, sequence: &mut Sequence) -> Option<FinishReason> {
        self.outlet.first_token_at.get_or_insert_with(Instant::now);
        sequence.tokens.push(token);
        if !self.limits.ignore_eos && self.tokenizer.eos_ids().contains(&token) {
            return Some(FinishReason::Eos);
        }
        match self.read(token, sequence.num_generated_tokens()) {
            Reading::Stopped(stop) => return Some(FinishReason::Stop(stop)),
            Reading::Over => return Some(FinishReason::Sentence),
            Reading::TakenBack(position) => sequence.rewind(position),
            Reading::On => {}
        }
        if let Some(rewinder) = &self.rewinder {
            let floor = rewinder.floor().map_or(sequence.tokens.len(), |c| c.position);
            sequence.rewind_floor = Some(floor);
        }
        if sequence.num_generated_tokens() >= self.limits.max_tokens {
            return Some(FinishReason::Length);
        }
        (sequence.tokens.len() >= self.limits.context_tokens).then_some(FinishReason::Context)
    }

    /// Sends the rest of the text and the summary.
    pub(super) fn finish(mut self, sequence: &Sequence, finish_reason: FinishReason) {
        let rest = self.text.finish(&finish_reason).to_owned();
        self.outlet.send_text(&rest);
        // Before the last event, so that whoever sees it finds the place free.
        self.outlet.ticket = None;
        let (queue_ms, prefill_ms, decode_ms) = self.outlet.timings();
        let summary = GenerationSummary {
            text: self.text.into_text(),
            finish_reason,
            token_ids: sequence.tokens[sequence.num_prompt_tokens..].to_vec(),
            num_prompt_tokens: sequence.num_prompt_tokens,
            num_cached_tokens: self.num_cached_tokens,
            num_restored_tokens: self.restored_tokens.len(),
            num_generated_tokens: sequence.num_generated_tokens(),
            num_preemptions: sequence.num_preemptions,
            num_rewinds: self.rewinder.as_ref().map_or(0, Rewinder::num_rewinds),
            num_banned_passed: self.num_banned_passed,
            queue_ms,
            prefill_ms,
            decode_ms,
        };
        self.outlet.record(&summary);
        self.outlet.send(GenerationEvent::Finished(summary));
    }

    /// Sends why there will be no reply.
    pub(super) fn fail(mut self, error: EngineError) {
        self.outlet.ticket = None;
        tracing::warn!(parent: &self.outlet.span, error.kind = error.kind(), "failed");
        self.outlet.send(GenerationEvent::Failed(error));
    }

    /// Samples the next token from `logits`.
    pub(super) fn sample(&mut self, logits: &mut [f32], sequence: &Sequence) -> u32 {
        // Rows may be padded beyond the tokens that exist.
        let num_logits = logits.len().min(self.tokenizer.vocab_size());
        let logits = &mut logits[..num_logits];
        if self.limits.ignore_eos {
            sampling::mask(logits, self.tokenizer.eos_ids());
        }
        if let Some(governor) = &self.governor {
            let num_tokens = sequence.num_generated_tokens();
            governor.steer(logits, num_tokens, &self.text, &self.tokenizer);
        }
        let Some(rewinder) = &mut self.rewinder else {
            return self.sampler.sample(logits, &sequence.tokens);
        };
        let position = sequence.tokens.len();
        sampling::mask(logits, rewinder.forbidden_at(position));
        let sampler = self.sampler.state();
        let token = self.sampler.sample(logits, &sequence.tokens);
        if !self.tokenizer.token_bytes(token).is_empty() {
            let (text_bytes, decoder) = (self.text.len(), self.decoder.clone());
            rewinder.record(Checkpoint { position, token, text_bytes, decoder, sampler });
        }
        token
    }

    /// Adds the text of the token that makes the reply `num_tokens` long, and shows what
    /// may be shown.
    fn read(&mut self, token: u32, num_tokens: usize) -> Reading {
        self.text.push(&self.decoder.push(self.tokenizer.token_bytes(token)));
        let mut may_end = self.governor.as_ref().is_none_or(|it| !it.holds(num_tokens));
        loop {
            match self.text.check(may_end) {
                TextVerdict::Open => break,
                TextVerdict::Held(start) => match self.rewind(start) {
                    Some(position) => return Reading::TakenBack(position),
                    None => may_end = true,
                },
                TextVerdict::Stopped(stop) => return Reading::Stopped(stop),
                TextVerdict::Banned(range) => match self.rewind(range.start) {
                    Some(position) => return Reading::TakenBack(position),
                    None => {
                        self.num_banned_passed += 1;
                        self.text.let_pass(range.end);
                    }
                },
            }
        }
        if self.governor.as_ref().is_some_and(|it| it.ends(&mut self.text, num_tokens)) {
            return Reading::Over;
        }
        let mut limit = usize::MAX;
        if let Some(rewinder) = &mut self.rewinder {
            rewinder.settle(self.text.settled(), self.text.len());
            limit = rewinder.floor().map_or(limit, |checkpoint| checkpoint.text_bytes);
        }
        if let Some(governor) = &self.governor {
            limit = limit.min(governor.showable(&self.text, num_tokens));
        }
        self.outlet.send_text(self.text.take_delta(limit));
        Reading::On
    }

    /// Goes back to the token that holds byte `start` of the text, if patience allows.
    fn rewind(&mut self, start: usize) -> Option<usize> {
        let checkpoint = self.rewinder.as_mut()?.rewind(start, self.text.len())?;
        self.text.truncate(checkpoint.text_bytes);
        self.decoder = checkpoint.decoder;
        self.sampler.restore(checkpoint.sampler);
        Some(checkpoint.position)
    }
}

impl Outlet {
    /// Never blocks. The channel is unbounded because a reply is small, `max_tokens`
    /// deltas at most, and one slow reader must not hold up the other sequences.
    fn send(&self, event: GenerationEvent) {
        // A closed receiver is noticed by `Generation::is_cancelled`.
        let _ = self.events.send(event);
    }

    fn send_text(&self, text: &str) {
        if !text.is_empty() {
            self.send(GenerationEvent::Text(text.to_owned()));
        }
    }

    /// Milliseconds in the queue, in prefill and in decoding, up to now.
    fn timings(&self) -> (u64, u64, u64) {
        let now = Instant::now();
        let started_at = self.started_at.unwrap_or(now);
        let first_token_at = self.first_token_at.unwrap_or(now);
        (
            millis(self.submitted_at, started_at),
            millis(started_at, first_token_at),
            millis(first_token_at, now),
        )
    }

    fn record(&self, summary: &GenerationSummary) {
        let span = &self.span;
        span.record("num_cached_tokens", summary.num_cached_tokens);
        span.record("num_generated_tokens", summary.num_generated_tokens);
        span.record("finish_reason", summary.finish_reason.kind());
        tracing::debug!(
            parent: span,
            queue_ms = summary.queue_ms,
            prefill_ms = summary.prefill_ms,
            decode_ms = summary.decode_ms,
            num_preemptions = summary.num_preemptions,
            num_rewinds = summary.num_rewinds,
            "finished"
        );
    }
}

fn millis(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX)
}
