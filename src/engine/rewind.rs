//! Going back to where a string began that may not stand there, to sample another token:
//! a banned one, or a stop string below the reply's length.
//!
//! Remembers, for each token whose text may still turn out to begin one, what the state
//! before it was. Patience is bounded: after so many attempts a banned string is let pass,
//! and counted, and a stop string ends the reply.

use std::collections::{BTreeMap, VecDeque};

use crate::sampling::SamplerState;
use crate::tokenizer::IncrementalDecoder;

/// How many tokens may be refused at one position.
const MAX_REWINDS_AT_POSITION: usize = 8;
/// How often one reply may go back.
const MAX_REWINDS: usize = 128;

/// The state before a token was sampled.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    /// Where the token stands in the sequence.
    pub(super) position: usize,
    pub(super) token: u32,
    /// Bytes of text before it.
    pub(super) text_bytes: usize,
    pub(super) decoder: IncrementalDecoder,
    pub(super) sampler: SamplerState,
}

/// The tokens of one reply that may still be taken back.
#[derive(Debug, Default)]
pub(super) struct Rewinder {
    checkpoints: VecDeque<Checkpoint>,
    /// Tokens refused so far, by position.
    forbidden: BTreeMap<usize, Vec<u32>>,
    num_rewinds: usize,
}

impl Rewinder {
    /// Remembers the state before a token, in order of position.
    ///
    /// Tokens without bytes are left out: none of them begins a string.
    pub(super) fn record(&mut self, checkpoint: Checkpoint) {
        debug_assert!(self.checkpoints.back().is_none_or(|c| c.position < checkpoint.position));
        self.checkpoints.push_back(checkpoint);
    }

    /// Forgets the tokens whose text lies before `settled_bytes`, where no banned
    /// string can begin any more. The text now has `text_bytes`.
    pub(super) fn settle(&mut self, settled_bytes: usize, text_bytes: usize) {
        while let Some(front) = self.checkpoints.front() {
            let end = self.text_end(0, text_bytes);
            // A token that added nothing yet began a character; its text is to come.
            if end == front.text_bytes || end > settled_bytes {
                break;
            }
            self.checkpoints.pop_front();
        }
        if let Some(front) = self.checkpoints.front() {
            self.forbidden = self.forbidden.split_off(&front.position);
        }
    }

    /// The earliest token that may still be taken back.
    pub(super) fn floor(&self) -> Option<&Checkpoint> {
        self.checkpoints.front()
    }

    /// Tokens that must not be sampled at `position`.
    pub(super) fn forbidden_at(&self, position: usize) -> &[u32] {
        self.forbidden.get(&position).map_or(&[], Vec::as_slice)
    }

    /// Goes back to the token whose text holds byte `start`, and forbids it there.
    /// `None` if patience is at its end.
    pub(super) fn rewind(&mut self, start: usize, text_bytes: usize) -> Option<Checkpoint> {
        let mut indices = 0..self.checkpoints.len();
        let index = indices.find(|&index| self.text_end(index, text_bytes) > start)?;
        let position = self.checkpoints[index].position;
        let num_forbidden = self.forbidden_at(position).len();
        if num_forbidden >= MAX_REWINDS_AT_POSITION || self.num_rewinds >= MAX_REWINDS {
            return None;
        }
        self.num_rewinds += 1;
        let checkpoint = self.checkpoints.drain(index..).next().expect("the index was found");
        // What was refused further on was refused after another text.
        let _ = self.forbidden.split_off(&(position + 1));
        self.forbidden.entry(position).or_default().push(checkpoint.token);
        Some(checkpoint)
    }

    pub(super) fn num_rewinds(&self) -> usize {
        self.num_rewinds
    }

    /// Where the text that began with a token ends: several tokens can make up one
    /// character, which shows with the last of them.
    fn text_end(&self, index: usize, text_bytes: usize) -> usize {
        let start = self.checkpoints[index].text_bytes;
        let later = self.checkpoints.range(index + 1..).map(|c| c.text_bytes);
        later.chain([text_bytes]).find(|&bytes| bytes > start).unwrap_or(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::{Sampler, SamplerParams, Vocabulary};

    /// Checkpoints of tokens 100, 101, … at positions 5, 6, …
    fn rewinder(text_bytes: &[usize]) -> Rewinder {
        let vocabulary = Vocabulary::default().into();
        let sampler = Sampler::new(&SamplerParams::default(), 0, &vocabulary).unwrap();
        let mut rewinder = Rewinder::default();
        for (index, &text_bytes) in text_bytes.iter().enumerate() {
            rewinder.record(Checkpoint {
                position: 5 + index,
                token: 100 + index as u32,
                text_bytes,
                decoder: IncrementalDecoder::new(),
                sampler: sampler.state(),
            });
        }
        rewinder
    }

    #[test]
    fn the_token_that_holds_the_first_byte_is_taken_back() {
        let mut rewinder = rewinder(&[0, 3, 6]);
        assert_eq!(rewinder.rewind(4, 9).unwrap().token, 101);
        assert_eq!(rewinder.forbidden_at(6), [101]);
        assert_eq!(rewinder.floor().unwrap().position, 5);
    }

    #[test]
    fn a_character_of_several_tokens_begins_with_the_first() {
        // Tokens 101 and 102 are bytes of the character that 103 completes.
        let mut rewinder = rewinder(&[0, 3, 3, 3, 6]);
        rewinder.settle(3, 9);
        assert_eq!(rewinder.floor().unwrap().token, 101);
        assert_eq!(rewinder.rewind(3, 9).unwrap().token, 101);
    }

    #[test]
    fn an_unfinished_character_is_not_forgotten() {
        let mut rewinder = rewinder(&[0, 3]);
        rewinder.settle(3, 3);
        assert_eq!(rewinder.floor().unwrap().token, 101);
    }

    #[test]
    fn refusals_further_on_are_forgotten() {
        let mut rewinder = rewinder(&[0, 3]);
        rewinder.rewind(3, 6).unwrap();
        assert_eq!(rewinder.forbidden_at(6), [101]);
        rewinder.rewind(0, 3).unwrap();
        assert_eq!(rewinder.forbidden_at(5), [100]);
        assert!(rewinder.forbidden_at(6).is_empty());
    }

    #[test]
    fn patience_ends() {
        let mut rewinder = rewinder(&[0]);
        let again = rewinder.floor().unwrap().clone();
        for _ in 0..MAX_REWINDS_AT_POSITION {
            assert!(rewinder.rewind(0, 3).is_some());
            rewinder.record(again.clone());
        }
        assert!(rewinder.rewind(0, 3).is_none());
        assert_eq!(rewinder.num_rewinds(), MAX_REWINDS_AT_POSITION);
    }
}
