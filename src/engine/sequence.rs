//! What the scheduler knows of one request: its tokens and how far they are computed.
//!
//! No text, no sampler, no clock: those are in [`super::generation`].

use super::block_manager::BlockTable;
use super::label::Scope;

/// Numbers sequences in order of arrival, those in the background after all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceId(pub(super) u64);

impl SequenceId {
    const BACKGROUND: u64 = 1 << 63;

    /// The `number`th to arrive, in the background.
    pub(super) fn background(number: u64) -> Self {
        Self(number | Self::BACKGROUND)
    }

    /// Whether it only warms the prefix cache, while nobody else wants the device.
    pub(super) fn is_background(self) -> bool {
        self.0 >= Self::BACKGROUND
    }
}

/// A growing run of tokens, prompt first, and the KV blocks that hold them.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) id: SequenceId,
    /// Prompt and generated tokens.
    pub(super) tokens: Vec<u32>,
    pub(super) num_prompt_tokens: usize,
    /// Leading tokens whose keys and values are in the block table.
    pub(super) num_computed_tokens: usize,
    /// The earliest position that may still be taken back and sampled anew;
    /// `None` if nothing ever is.
    pub(super) rewind_floor: Option<usize>,
    pub(super) cache_salt: u64,
    pub(super) cache_owner: u64,
    /// Whether nothing of it is to be kept, because it was forgotten while it lived.
    pub(super) is_forgotten: bool,
    /// Whether the tiers below the KV cache were asked for its blocks.
    pub(super) is_prepared: bool,
    pub(super) block_table: BlockTable,
    pub(super) num_preemptions: usize,
}

impl Sequence {
    pub(super) fn new(id: SequenceId, prompt: Vec<u32>, cache_salt: u64) -> Self {
        Self {
            id,
            num_prompt_tokens: prompt.len(),
            tokens: prompt,
            num_computed_tokens: 0,
            rewind_floor: None,
            cache_salt,
            cache_owner: 0,
            is_forgotten: false,
            is_prepared: false,
            block_table: BlockTable::default(),
            num_preemptions: 0,
        }
    }

    /// Whether a scope covers what is cached of it.
    pub(super) fn is_in(&self, scope: Scope) -> bool {
        scope.covers(self.cache_salt, self.cache_owner)
    }

    pub(super) fn num_generated_tokens(&self) -> usize {
        self.tokens.len() - self.num_prompt_tokens
    }

    /// Tokens that must run through the model before the next can be sampled.
    pub(super) fn num_uncomputed_tokens(&self) -> usize {
        self.tokens.len() - self.num_computed_tokens
    }

    /// Whether one row is all that is missing for the next token.
    pub(super) fn is_decoding(&self) -> bool {
        self.num_uncomputed_tokens() == 1 && !self.id.is_background()
    }

    /// The tokens whose keys and values are never written by this sequence, once
    /// they are there: all but the last, whose row gives the next logits, and but
    /// those a rewind may reach (one to position `p` computes `p − 1` again).
    pub(super) fn shareable_tokens(&self) -> &[u32] {
        let last = self.tokens.len() - 1;
        &self.tokens[..self.rewind_floor.map_or(last, |floor| last.min(floor - 1))]
    }

    /// The tokens whose keys and values are computed and final.
    pub(super) fn final_tokens(&self) -> &[u32] {
        let limit = self.rewind_floor.map_or(usize::MAX, |floor| floor - 1);
        &self.tokens[..self.num_computed_tokens.min(limit)]
    }

    /// Takes back the tokens from `position` on, so that the next token sampled
    /// stands there. Their keys and values are overwritten as the text goes on.
    pub(super) fn rewind(&mut self, position: usize) {
        debug_assert!(self.rewind_floor.is_some_and(|floor| floor <= position));
        debug_assert!(position >= self.num_prompt_tokens, "the prompt is never taken back");
        self.tokens.truncate(position);
        self.num_computed_tokens = self.num_computed_tokens.min(position - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six prompt and six generated tokens, all but the last computed.
    fn sequence(rewind_floor: Option<usize>) -> Sequence {
        let mut sequence = Sequence::new(SequenceId(0), (0..6).collect(), 0);
        sequence.tokens.extend(6..12);
        sequence.num_computed_tokens = 11;
        sequence.rewind_floor = rewind_floor;
        sequence
    }

    #[test]
    fn without_rewinds_everything_computed_is_final() {
        assert_eq!(sequence(None).final_tokens().len(), 11);
        assert_eq!(sequence(None).shareable_tokens().len(), 11);
    }

    #[test]
    fn what_a_rewind_writes_again_is_not_shared() {
        for floor in 6..=12 {
            let mut sequence = sequence(Some(floor));
            let num_shared = sequence.final_tokens().len();
            assert_eq!(sequence.shareable_tokens().len(), num_shared);
            sequence.rewind(floor);
            // The next step writes from here on.
            assert!(sequence.num_computed_tokens >= num_shared);
            assert!(sequence.is_decoding());
        }
    }
}
