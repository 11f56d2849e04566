//! The decoder of the Llama family: RMS norms before attention and a gated
//! feed-forward, residuals around both (Touvron et al. 2023, arXiv:2302.13971;
//! Jiang et al. 2023, arXiv:2310.06825).
//!
//! Linear layers run once over all rows of a step; only attention looks at
//! sequences. Activations are f32.

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::ops::{rms_norm, silu};

use super::super::decoder_weights::{DecoderWeights, LayerWeights, WeightLoader};
use super::super::weights::{Weight, WeightSource, convert, quantized};
use super::super::{ModelConfig, ModelError, WeightType};
use super::attention::attend;
use super::kv_cache::{LayerCache, SlotRun};
use super::plan::{BatchPlan, SequencePlan};
use super::rope::{Rope, Rotation};

/// The decoder's weights on a device.
#[derive(Debug)]
pub(super) struct Decoder {
    weights: DecoderWeights<Norm, QMatMul>,
    rope: Rope,
    head_dim: usize,
    vocab_size: usize,
}

/// One layer at work.
struct Layer<'a> {
    weights: &'a LayerWeights<Norm, QMatMul>,
    cache: &'a LayerCache,
    head_dim: usize,
}

#[derive(Debug)]
struct Norm {
    weight: Tensor,
    eps: f32,
}

impl Norm {
    fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        rms_norm(rows, &self.weight, self.eps)
    }
}

/// What every layer of one step shares.
struct Step<'a> {
    rotation: Rotation,
    slot_runs: &'a [SlotRun],
    attention: &'a [SequencePlan],
}

impl Decoder {
    pub(super) fn build(
        config: &ModelConfig,
        source: &mut dyn WeightSource,
        weight_type: Option<WeightType>,
        device: &Device,
    ) -> std::result::Result<Self, ModelError> {
        let mut loader = Loader { config, source, weight_type, device };
        let weights = DecoderWeights::load(&mut loader)?;
        let (head_dim, vocab_size) = (config.head_dim, config.vocab_size);
        Ok(Self { weights, rope: Rope::new(config), head_dim, vocab_size })
    }

    /// Logits `(plan.logit_rows.len(), vocab_size)`, f32.
    pub(super) fn forward(
        &self,
        plan: &BatchPlan,
        kv: &[LayerCache],
        device: &Device,
    ) -> Result<Tensor> {
        let tokens = Tensor::new(plan.tokens.as_slice(), device)?;
        let mut rows = self.weights.embedding.embedding(&tokens)?;
        let step = Step {
            rotation: self.rope.at(&plan.positions, device)?,
            slot_runs: &plan.slot_runs,
            attention: &plan.attention,
        };
        for (weights, cache) in self.weights.layers.iter().zip(kv) {
            rows = Layer { weights, cache, head_dim: self.head_dim }.forward(&rows, &step)?;
        }
        if plan.logit_rows.is_empty() {
            return Tensor::zeros((0, self.vocab_size), DType::F32, device);
        }
        // Only the rows that are asked for pay for the vocabulary.
        let wanted = Tensor::new(plan.logit_rows.as_slice(), device)?;
        let rows = rows.index_select(&wanted, 0)?;
        self.weights.output.forward(&self.weights.output_norm.forward(&rows)?)
    }
}

impl Layer<'_> {
    fn forward(&self, rows: &Tensor, step: &Step<'_>) -> Result<Tensor> {
        let normed = self.weights.attention_norm.forward(rows)?;
        let rows = (rows + self.attention(&normed, step)?)?;
        &rows + self.feed_forward(&self.weights.feed_forward_norm.forward(&rows)?)?
    }

    fn attention(&self, rows: &Tensor, step: &Step<'_>) -> Result<Tensor> {
        let Self { weights, cache, head_dim } = self;
        let heads = |projected: Tensor| projected.reshape((rows.dim(0)?, (), *head_dim));
        let queries = step.rotation.apply(&heads(weights.query.forward(rows)?)?)?;
        let keys = step.rotation.apply(&heads(weights.key.forward(rows)?)?)?;
        let values = heads(weights.value.forward(rows)?)?;
        cache.write(&keys, &values, step.slot_runs)?;
        weights.attention_output.forward(&attend(&queries, cache, step.attention)?)
    }

    fn feed_forward(&self, rows: &Tensor) -> Result<Tensor> {
        let LayerWeights { gate, up, down, .. } = self.weights;
        down.forward(&(silu(&gate.forward(rows)?)? * up.forward(rows)?)?)
    }
}

/// Brings weights from where they come from to the device.
struct Loader<'a> {
    config: &'a ModelConfig,
    source: &'a mut dyn WeightSource,
    weight_type: Option<WeightType>,
    device: &'a Device,
}

impl WeightLoader for Loader<'_> {
    type Norm = Norm;
    type Matrix = QMatMul;

    fn config(&self) -> &ModelConfig {
        self.config
    }

    fn has_tied_embeddings(&self) -> bool {
        self.source.has_tied_embeddings()
    }

    fn norm(&mut self, weight: Weight) -> std::result::Result<Norm, ModelError> {
        let weight = self.source.vector(weight, self.config.hidden_size)?;
        let weight = Tensor::new(weight, self.device)?;
        Ok(Norm { weight, eps: self.config.norm_eps as f32 })
    }

    fn matrix(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> std::result::Result<QMatMul, ModelError> {
        let stored = self.source.matrix(weight, out, input)?;
        let stored = convert(stored, self.weight_type, has_product)?;
        let quantized = quantized(&stored)?;
        Ok(match stored.dtype {
            WeightType::F32 | WeightType::F16 | WeightType::BF16 => {
                QMatMul::Tensor(quantized.dequantize(&Device::Cpu)?.to_device(self.device)?)
            }
            _ if self.device.is_cpu() => QMatMul::from_qtensor(quantized)?,
            dtype => {
                let floats = quantized.dequantize(&Device::Cpu)?;
                QMatMul::from_qtensor(QTensor::quantize_onto(&floats, dtype, self.device)?)?
            }
        })
    }
}

/// Whether candle multiplies rows of `columns` weights of this type: whole blocks, of
/// some types whole pairs of blocks, and of one type none at all.
fn has_product(weight_type: WeightType, columns: usize) -> bool {
    let blocks = match weight_type {
        WeightType::Q4_1 | WeightType::Q5_0 | WeightType::Q5_1 => 2,
        WeightType::Q8_1 => return false,
        _ => 1,
    };
    columns.is_multiple_of(blocks * weight_type.block_size())
}
