//! How a reply was made: enough to show, and enough to make it again.
//!
//! Numbers, names and settings; never what anybody said. The prompt's own ids are
//! kept beside it in the store.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{Length, Swipe};
use crate::engine::LengthRange;
use crate::prompt::PromptReceipt;
use crate::sampling::SamplerParams;

use super::lore::LoreReport;

/// The accounts of one reply, kept with its swipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplyReceipt {
    /// The model, by the name that people chose.
    pub model: String,
    /// The model, by what is in its files.
    pub model_fingerprint: String,
    /// The sampling preset's name.
    pub preset: String,
    /// What the preset said then; with more penalty where the reply was written anew.
    pub sampler: SamplerParams,
    /// Where chance began.
    pub seed: u64,
    /// The length that was asked for; `None` left it to the model.
    pub length: Option<Length>,
    /// Where the reply would have been cut.
    pub max_tokens: usize,
    /// Within which tokens it was kept; `None` left that to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_range: Option<LengthRange>,
    /// The texts that would have ended it.
    pub stops: Vec<String>,
    /// How much of the text stood before, in bytes, where a turn was continued.
    pub standing_bytes: usize,
    /// The prompt, section by section.
    pub prompt: PromptReceipt,
    /// What lore did for it.
    #[serde(default)]
    pub lore: LoreReport,
    /// How much of it the character said before.
    #[serde(default)]
    pub repetition: RepetitionReceipt,
    /// Tokens of another's line that were written behind it, and cut off.
    #[serde(default)]
    pub impersonation_tokens: usize,
    /// Why it ended.
    pub finish: String,
    /// Where the time went.
    pub timings: Timings,
}

impl ReplyReceipt {
    /// The receipt of a text; `None` where no model wrote it, or one whose receipts
    /// we no longer read.
    pub fn of(swipe: &Swipe) -> Option<Self> {
        serde_json::from_value(swipe.receipt.clone()?).ok()
    }
}

/// How much of a reply its character had said before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RepetitionReceipt {
    /// The share of its 4-grams of words that stand in one of the last replies.
    pub overlap: f64,
    /// The longest run of words in common with one of them.
    pub longest_run: usize,
    /// The share of what was written first, where that counted as said before and was
    /// written anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_overlap: Option<f64>,
}

impl RepetitionReceipt {
    /// Whether there is anything to tell.
    pub fn is_any(self) -> bool {
        self.overlap > 0.0 || self.first_overlap.is_some()
    }
}

impl fmt::Display for RepetitionReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (overlap, run) = (self.overlap * 1e2, self.longest_run);
        write!(f, "{overlap:.0} % of it, {run} words in a row at most")?;
        match self.first_overlap {
            Some(first) => write!(f, "; written anew, as {:.0} % had been", first * 1e2),
            None => Ok(()),
        }
    }
}

/// Where a reply's time went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// From the message's acceptance to the claim of its lane, in milliseconds.
    pub lane_ms: u64,
    /// Loading the scene and building the prompt, in milliseconds.
    pub prompt_ms: u64,
    /// Waiting for a place in the engine, in milliseconds.
    pub queue_ms: u64,
    /// Computing the prompt, in milliseconds.
    pub prefill_ms: u64,
    /// Writing the reply, in milliseconds.
    pub decode_ms: u64,
    /// Tokens of the prompt.
    pub num_prompt_tokens: usize,
    /// Those of them that were still cached.
    pub num_cached_tokens: usize,
    /// Tokens of the reply.
    pub num_generated_tokens: usize,
}

impl Timings {
    /// Tokens a second while the reply was written; `None` for a reply too short
    /// to tell.
    pub fn decode_tokens_per_s(&self) -> Option<f64> {
        (self.num_generated_tokens > 1 && self.decode_ms > 0)
            .then(|| (self.num_generated_tokens - 1) as f64 / self.decode_ms as f64 * 1e3)
    }
}
