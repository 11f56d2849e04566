//! One step's batch: what callers pass in, what they get, and the checks between.

use std::ops::{Deref, DerefMut};

use super::{ModelConfig, ModelError};
use crate::gpu::LentFloats;

/// New tokens of one sequence in one step: a prefill chunk, or one token when
/// decoding.
#[derive(Debug, Clone, Copy)]
pub struct BatchSequence<'a> {
    /// The new tokens, at least one.
    pub tokens: &'a [u32],
    /// Position of `tokens[0]`; all earlier positions are in the cache already.
    pub position: usize,
    /// KV blocks that cover positions `0..position + tokens.len()`, in order.
    pub block_table: &'a [u32],
    /// Which of the new tokens get logits.
    pub logits: LogitRows,
}

/// Which rows of a sequence's step get logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogitRows {
    /// None: a prefill chunk that is not the last.
    None,
    /// The last token's.
    Last,
    /// Every token's, for references and verification of drafts.
    All,
}

/// Logits of the rows that asked for them, in batch order.
#[derive(Debug, Default)]
pub struct Logits {
    values: Values,
    vocab_size: usize,
}

/// Where logits lie.
#[derive(Debug)]
enum Values {
    Own(Vec<f32>),
    /// In memory that a GPU writes by itself.
    Lent(LentFloats),
}

impl Default for Values {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Own(values) => values,
            Self::Lent(values) => values,
        }
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Own(values) => values,
            Self::Lent(values) => values,
        }
    }
}

impl Logits {
    /// # Panics
    /// If `values` is no whole number of rows.
    pub(super) fn new(values: Vec<f32>, vocab_size: usize) -> Self {
        Self::of(Values::Own(values), vocab_size)
    }

    /// # Panics
    /// As [`Logits::new`].
    pub(super) fn lent(values: LentFloats, vocab_size: usize) -> Self {
        Self::of(Values::Lent(values), vocab_size)
    }

    fn of(values: Values, vocab_size: usize) -> Self {
        assert!(values.len().is_multiple_of(vocab_size), "whole rows");
        Self { values, vocab_size }
    }

    /// How many rows there are.
    pub fn num_rows(&self) -> usize {
        self.values.len() / self.vocab_size.max(1)
    }

    /// The rows, one logit for each token of the vocabulary.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.vocab_size.max(1))
    }

    /// The rows, to be changed by a sampler.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.vocab_size.max(1))
    }
}

/// Checks a batch against the model and the cache.
///
/// # Errors
/// `Batch` with the sequence and the reason.
pub(super) fn check(
    batch: &[BatchSequence<'_>],
    config: &ModelConfig,
    num_blocks: usize,
    block_size: usize,
) -> Result<(), ModelError> {
    if batch.is_empty() {
        return Err(ModelError::Batch("no sequences".into()));
    }
    batch.iter().enumerate().try_for_each(|(index, sequence)| {
        check_sequence(sequence, config, num_blocks, block_size)
            .map_err(|reason| ModelError::Batch(format!("sequence {index}: {reason}")))
    })?;
    check_written_once(batch, block_size)
}

/// Threads store keys and values beside each other: no two rows may have one place.
fn check_written_once(batch: &[BatchSequence<'_>], block_size: usize) -> Result<(), ModelError> {
    let written = |sequence: &BatchSequence<'_>| {
        let last = (sequence.position + sequence.tokens.len() - 1) / block_size;
        sequence.block_table[sequence.position / block_size..=last].to_vec()
    };
    let mut blocks: Vec<u32> = batch.iter().flat_map(written).collect();
    blocks.sort_unstable();
    match blocks.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ModelError::Batch(format!("block {} would be written twice", pair[0]))),
        None => Ok(()),
    }
}

fn check_sequence(
    sequence: &BatchSequence<'_>,
    config: &ModelConfig,
    num_blocks: usize,
    block_size: usize,
) -> Result<(), String> {
    let end = sequence.position + sequence.tokens.len();
    if sequence.tokens.is_empty() {
        return Err("no tokens".into());
    }
    if end > config.context_length {
        return Err(format!(
            "position {} is beyond the context of {}",
            end - 1,
            config.context_length
        ));
    }
    if let Some(id) = sequence.tokens.iter().find(|&&id| id as usize >= config.vocab_size) {
        return Err(format!("token {id} is outside the vocabulary of {}", config.vocab_size));
    }
    if sequence.block_table.len() * block_size < end {
        return Err(format!(
            "{} blocks of {} do not cover {end} positions",
            sequence.block_table.len(),
            block_size
        ));
    }
    match sequence.block_table.iter().find(|&&id| id as usize >= num_blocks) {
        Some(id) => Err(format!("block {id} does not exist, the cache has {}", num_blocks)),
        None => Ok(()),
    }
}
