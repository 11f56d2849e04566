//! The logits of a given text: one sequence with a cache of its own, run straight
//! through the model.
//!
//! Invariant: few rows of logits are in memory at once, however long the text is.

use std::sync::Arc;

use anyhow::ensure;

use crate::model::{BatchSequence, KvCache, LogitRows, Model, ModelError};

const BLOCK_SIZE: usize = 32;
/// Rows of one run: a row of logits is large, 200 kB for a vocabulary of 50,000.
const ROWS: usize = 64;

/// A model with room for one sequence.
pub(super) struct Rows {
    model: Arc<Model>,
    kv: KvCache,
    block_table: Vec<u32>,
}

impl Rows {
    /// Room for texts of `num_tokens`.
    ///
    /// # Errors
    /// The model's context is shorter, or memory does not suffice.
    pub(super) fn new(model: Arc<Model>, num_tokens: usize) -> anyhow::Result<Self> {
        let context = model.config().context_length;
        ensure!(
            num_tokens <= context,
            "{num_tokens} tokens are asked for, and the model's context is {context}: ask for fewer"
        );
        let num_blocks = num_tokens.div_ceil(BLOCK_SIZE);
        let kv = model.kv_cache(num_blocks, BLOCK_SIZE)?;
        let block_table = (0..u32::try_from(num_blocks)?).collect();
        Ok(Self { model, kv, block_table })
    }

    /// Computes `tokens` from an empty cache on, and hands out the row of each
    /// position from `first` on.
    ///
    /// # Errors
    /// The model fails, or the tokens are none of its own.
    pub(super) fn read(
        &mut self,
        tokens: &[u32],
        first: usize,
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<(), ModelError> {
        let (unseen, seen) = tokens.split_at(first.min(tokens.len()));
        for (index, chunk) in unseen.chunks(ROWS).enumerate() {
            self.run(chunk, index * ROWS, LogitRows::None, |_, _| {})?;
        }
        for (index, chunk) in seen.chunks(ROWS).enumerate() {
            self.run(chunk, first + index * ROWS, LogitRows::All, &mut each)?;
        }
        Ok(())
    }

    /// Computes `tokens` at `position`, what stands before it being in the cache, and
    /// hands out the rows that `logits` selects.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub(super) fn run(
        &mut self,
        tokens: &[u32],
        position: usize,
        logits: LogitRows,
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<(), ModelError> {
        let sequence = BatchSequence { tokens, position, block_table: &self.block_table, logits };
        let logits = self.model.forward(&[sequence], &mut self.kv)?;
        logits.rows().enumerate().for_each(|(index, row)| each(position + index, row));
        Ok(())
    }
}

/// The natural logarithm of the probability that a row gives to `token`.
pub(super) fn log_probability(row: &[f32], token: u32) -> f64 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|logit| f64::from(logit - max).exp()).sum();
    f64::from(row[token as usize] - max) - sum.ln()
}

/// The two tokens with the highest logits, the lower id first among equals.
pub(super) fn best_two(row: &[f32]) -> [(u32, f32); 2] {
    let mut best = [(0, f32::NEG_INFINITY); 2];
    for (id, &logit) in (0..).zip(row) {
        if logit > best[0].1 {
            best = [(id, logit), best[0]];
        } else if logit > best[1].1 {
            best[1] = (id, logit);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LoadOptions, ModelConfig};

    #[test]
    fn chunks_change_nothing() {
        let model =
            Arc::new(Model::random(&ModelConfig::tiny(), 0, &LoadOptions::default()).unwrap());
        let tokens: Vec<u32> = (0..150).map(|index| index * 7 % 256).collect();
        let mut rows = Rows::new(model, tokens.len()).unwrap();
        let mut all = Vec::new();
        rows.read(&tokens, 0, |position, row| all.push((position, row.to_vec()))).unwrap();
        let mut late = Vec::new();
        rows.read(&tokens, 70, |position, row| late.push((position, row.to_vec()))).unwrap();
        assert_eq!(all.len(), 150);
        assert_eq!(all[70..], late);
        rows.read(&tokens, 150, |_, _| unreachable!("no position is left")).unwrap();
    }

    #[test]
    fn more_than_the_context_is_refused_in_words() {
        let model =
            Arc::new(Model::random(&ModelConfig::tiny(), 0, &LoadOptions::default()).unwrap());
        let error = Rows::new(model, 5000).err().unwrap().to_string();
        assert!(error.contains("5000") && error.contains("4096"), "{error}");
    }

    #[test]
    fn probabilities_and_best_tokens_are_those_of_the_row() {
        let row = [0.0, 3f32.ln(), 0.0, 3f32.ln()];
        assert!((log_probability(&row, 1) - (3.0f64 / 8.0).ln()).abs() < 1e-6);
        assert_eq!(best_two(&row).map(|(id, _)| id), [1, 3]);
        assert_eq!(best_two(&[2.0, 1.0]).map(|(id, _)| id), [0, 1]);
    }
}
