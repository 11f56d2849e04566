//! Random weights of any shape, the same for the same seed on every machine: for
//! tests and benches that need a decoder, not a language.

use candle_core::quantized::QMatMul;
use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::weights::{Weight, WeightSource, matrix};
use super::{ModelError, WeightType};

/// Uniform weights with the variance of a fresh linear layer.
pub(super) struct RandomWeights<'a> {
    rng: ChaCha8Rng,
    weight_type: Option<WeightType>,
    device: &'a Device,
}

impl<'a> RandomWeights<'a> {
    pub(super) fn new(seed: u64, weight_type: Option<WeightType>, device: &'a Device) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), weight_type, device }
    }

    fn uniform(&mut self, rows: usize, columns: usize, bound: f32) -> Result<Tensor, ModelError> {
        let values = (0..rows * columns).map(|_| self.rng.random_range(-bound..bound)).collect();
        Ok(Tensor::from_vec::<_, f32>(values, (rows, columns), &Device::Cpu)?)
    }
}

impl WeightSource for RandomWeights<'_> {
    fn has_tied_embeddings(&self) -> bool {
        false
    }

    fn vector(&mut self, _: Weight, len: usize) -> Result<Tensor, ModelError> {
        Ok((self.uniform(1, len, 0.2)?.squeeze(0)? + 1.0)?.to_device(self.device)?)
    }

    fn matrix(&mut self, _: Weight, out: usize, input: usize) -> Result<QMatMul, ModelError> {
        let bound = (3.0 / input as f32).sqrt();
        matrix(self.uniform(out, input, bound)?, self.weight_type, self.device)
    }

    fn embedding(&mut self, vocab: usize, hidden: usize) -> Result<QMatMul, ModelError> {
        matrix(self.uniform(vocab, hidden, 3.0f32.sqrt())?, self.weight_type, self.device)
    }
}
