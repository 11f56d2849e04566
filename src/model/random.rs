//! Random weights of any shape, the same for the same seed on every machine: for
//! tests and benches that need a decoder, not a language.

use std::borrow::Cow;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::weights::{Weight, WeightSource};
use super::{ModelError, WeightType};
use crate::kernels::StoredRows;

/// Uniform weights with the variance of a fresh linear layer.
pub(super) struct RandomWeights {
    rng: ChaCha8Rng,
}

impl RandomWeights {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn uniform(&mut self, count: usize, bound: f32) -> impl Iterator<Item = f32> {
        (0..count).map(move |_| self.rng.random_range(-bound..bound))
    }
}

impl WeightSource for RandomWeights {
    fn has_tied_embeddings(&self) -> bool {
        false
    }

    fn vector(&mut self, _: Weight, len: usize) -> Result<Vec<f32>, ModelError> {
        Ok(self.uniform(len, 0.2).map(|x| x + 1.0).collect())
    }

    fn matrix(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> Result<StoredRows<'static>, ModelError> {
        let fan_in = if weight == Weight::TokenEmbedding { 1 } else { input };
        let bound = (3.0 / fan_in as f32).sqrt();
        let bytes: Vec<u8> = self.uniform(out * input, bound).flat_map(f32::to_le_bytes).collect();
        Ok(StoredRows {
            dtype: WeightType::F32,
            num_rows: out,
            num_columns: input,
            bytes: Cow::Owned(bytes),
        })
    }
}
