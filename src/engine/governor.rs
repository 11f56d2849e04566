//! Keeps a reply within a range of tokens, and ends it where a sentence ends.
//!
//! A tag in the prompt is followed on average only. So the end is held back below the
//! range (the end tokens are masked, a stop string is taken back like a banned one), made
//! less likely within a sentence and likelier behind one in the upper half, and taken in the
//! last quarter at the first end of a sentence. Where none comes, tokens that end one are
//! raised, and at last nothing else is left to draw once the word is whole. So a reply is not
//! cut in mid-sentence by `max_tokens`: what lies between the range and `max_tokens` is the
//! margin in which it ends.

use std::fmt;
use std::sync::Arc;

use super::text::ReplyText;
use crate::prose::{begins_word, ends_sentence};
use crate::sampling;
use crate::tokenizer::Tokenizer;

/// How many tokens a reply should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LengthRange {
    /// Below this the reply is not ended.
    pub min_tokens: usize,
    /// In the last quarter before this it ends with its sentence, and behind it as soon as
    /// one ends.
    pub max_tokens: usize,
}

impl fmt::Display for LengthRange {
    /// As people read it: `110 to 250 tokens`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.min_tokens {
            0 => write!(f, "to the next sentence from {} tokens on", self.max_tokens),
            min_tokens => write!(f, "{min_tokens} to {} tokens", self.max_tokens),
        }
    }
}

/// What is added at most, at a sentence's end, to the logits of tokens that end the reply,
/// from the middle of the range to its last quarter.
const EASE: f32 = 5.0;
/// What is added at most to the logits of tokens that end a sentence, over the margin.
const FINISH: f32 = 5.0;
/// What is taken within a sentence from the logits of tokens that end the reply.
const LOATH: f32 = 4.0;
/// Tokens before the last in which a whole word is followed by the sentence's end.
const LAST_WORDS: usize = 12;

/// The tokens that do nothing but end a sentence.
#[derive(Debug, Default)]
pub(super) struct SentenceEnds(Vec<u32>);

impl SentenceEnds {
    pub(super) fn of(tokenizer: &Tokenizer) -> Self {
        let ids = 0..u32::try_from(tokenizer.vocab_size()).expect("token ids are u32");
        let ends =
            |id: &u32| std::str::from_utf8(tokenizer.token_bytes(*id)).is_ok_and(ends_sentence);
        Self(ids.filter(ends).collect())
    }
}

/// Keeps one reply to its range.
#[derive(Debug)]
pub(super) struct Governor {
    range: LengthRange,
    /// From here on it ends with its sentence.
    ends_from: usize,
    /// Where the reply is cut at the latest, in tokens.
    cap: usize,
    ends: Arc<SentenceEnds>,
}

impl Governor {
    /// `cap` is where the reply is cut at the latest; a range that leaves no margin before
    /// it is narrowed.
    pub(super) fn new(range: LengthRange, cap: usize, ends: Arc<SentenceEnds>) -> Self {
        let max_tokens = range.max_tokens.min(cap.saturating_sub(cap / 8)).max(1);
        let min_tokens = match max_tokens < range.max_tokens {
            true => range.min_tokens.min(max_tokens / 2 + max_tokens / 4),
            false => range.min_tokens,
        };
        // So that the sentence that ends the reply still ends within the range.
        let last_quarter = if min_tokens > 0 { (max_tokens - min_tokens) / 4 } else { 0 };
        let ends_from = max_tokens - last_quarter;
        Self { range: LengthRange { min_tokens, max_tokens }, ends_from, cap, ends }
    }

    /// Whether a reply of so many tokens may not end yet.
    pub(super) fn holds(&self, num_tokens: usize) -> bool {
        num_tokens < self.range.min_tokens
    }

    /// Ends a text of so many tokens where its sentence ended, if it is long enough; tells
    /// whether it did.
    pub(super) fn ends(&self, text: &mut ReplyText, num_tokens: usize) -> bool {
        if num_tokens < self.ends_from {
            return false;
        }
        if text.cut_at_sentence() {
            return true;
        }
        let is_over = self.is_at_last_words(num_tokens) && text.scan().is_sentence_ended;
        if is_over {
            text.close();
        }
        is_over
    }

    /// Up to where a text of so many tokens may be shown, in bytes: its last word may be cut
    /// off soon.
    pub(super) fn showable(&self, text: &ReplyText, num_tokens: usize) -> usize {
        if self.is_at_last_words(num_tokens) { text.last_word() } else { usize::MAX }
    }

    /// Whether a reply of so many tokens ends with its next whole word.
    fn is_at_last_words(&self, num_tokens: usize) -> bool {
        num_tokens + LAST_WORDS.min(self.cap / 8) >= self.cap
    }

    /// Edits the logits of the token after the first `num_tokens` of the reply.
    pub(super) fn steer(
        &self,
        logits: &mut [f32],
        num_tokens: usize,
        text: &ReplyText,
        tokenizer: &Tokenizer,
    ) {
        let LengthRange { min_tokens, max_tokens } = self.range;
        if num_tokens < min_tokens {
            return sampling::mask(logits, tokenizer.eos_ids());
        }
        // Without a lower bound nobody asked for a length.
        if min_tokens == 0 && num_tokens < max_tokens {
            return;
        }
        let scan = text.scan();
        if scan.closers.contains("```") {
            // Code has no sentences.
        } else if scan.is_at_end || scan.is_sentence_ended && num_tokens >= max_tokens {
            let middle = min_tokens.midpoint(max_tokens);
            let way = self.ends_from.saturating_sub(middle).max(1) as f32;
            let share = num_tokens.saturating_sub(middle) as f32 / way;
            raise(logits, tokenizer.eos_ids(), EASE * share.min(1.0));
        } else if !scan.is_sentence_ended {
            self.finish_sentence(logits, num_tokens, tokenizer);
        }
    }

    /// Within a sentence: it is not to end there, and over the margin it is to end soon.
    fn finish_sentence(&self, logits: &mut [f32], num_tokens: usize, tokenizer: &Tokenizer) {
        let is_last = self.is_at_last_words(num_tokens) && !self.ends.0.is_empty();
        if is_last && likeliest_begins_word(logits, tokenizer) {
            return keep_only(logits, &self.ends.0);
        }
        raise(logits, tokenizer.eos_ids(), -LOATH);
        let max_tokens = self.range.max_tokens;
        if num_tokens >= max_tokens {
            let margin = self.cap.saturating_sub(max_tokens).max(1);
            let share = (num_tokens - max_tokens) as f32 / margin as f32;
            raise(logits, &self.ends.0, FINISH * share);
        }
    }
}

fn raise(logits: &mut [f32], ids: &[u32], by: f32) {
    for &id in ids {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit += by;
        }
    }
}

/// Leaves these tokens alone in the row.
fn keep_only(logits: &mut [f32], ids: &[u32]) {
    let kept: Vec<_> = ids.iter().map(|&id| logits.get(id as usize).copied()).collect();
    logits.fill(f32::NEG_INFINITY);
    for (&id, kept) in ids.iter().zip(kept) {
        if let (Some(logit), Some(kept)) = (logits.get_mut(id as usize), kept) {
            *logit = kept;
        }
    }
}

/// Whether the likeliest token leaves the word before it whole. Part of a character does not.
fn likeliest_begins_word(logits: &[f32], tokenizer: &Tokenizer) -> bool {
    let best = (0..).zip(logits).max_by(|(_, a), (_, b)| a.total_cmp(b));
    best.is_some_and(|(id, _)| {
        std::str::from_utf8(tokenizer.token_bytes(id)).is_ok_and(begins_word)
    })
}
