//! The decoder of the Llama family: RMS norms before attention and a gated
//! feed-forward, residuals around both (Touvron et al. 2023, arXiv:2302.13971;
//! Jiang et al. 2023, arXiv:2310.06825).
//!
//! Linear layers run once over all rows of a step; only attention looks at
//! sequences. Activations are f32.

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::ops::{rms_norm, silu};

use super::super::weights::{Weight, WeightSource, convert, quantized};
use super::super::{ModelConfig, ModelError, WeightType};
use super::attention::attend;
use super::kv_cache::{LayerCache, SlotRun};
use super::plan::{BatchPlan, SequencePlan};
use super::rope::{Rope, Rotation};

/// The weights, in the order they are used.
#[derive(Debug)]
pub(super) struct Decoder {
    embedding: QMatMul,
    layers: Vec<Layer>,
    output_norm: Norm,
    output: QMatMul,
    rope: Rope,
    vocab_size: usize,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Norm,
    query: QMatMul,
    key: QMatMul,
    value: QMatMul,
    attention_output: QMatMul,
    feed_forward_norm: Norm,
    gate: QMatMul,
    up: QMatMul,
    down: QMatMul,
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
        let (vocab, hidden) = (config.vocab_size, config.hidden_size);
        let embedding = loader.matrix(Weight::TokenEmbedding, vocab, hidden)?;
        let layers = (0..config.num_layers)
            .map(|index| Layer::build(&mut loader, index))
            .collect::<std::result::Result<_, _>>()?;
        let output_norm = loader.norm(Weight::OutputNorm)?;
        let output = match &embedding {
            _ if !loader.source.has_tied_embeddings() => {
                loader.matrix(Weight::Output, vocab, hidden)?
            }
            QMatMul::QTensor(table) => QMatMul::from_arc(table.clone())?,
            dense => dense.clone(),
        };
        let vocab_size = config.vocab_size;
        Ok(Self { embedding, layers, output_norm, output, rope: Rope::new(config), vocab_size })
    }

    /// Logits `(plan.logit_rows.len(), vocab_size)`, f32.
    pub(super) fn forward(
        &self,
        plan: &BatchPlan,
        kv: &[LayerCache],
        device: &Device,
    ) -> Result<Tensor> {
        let tokens = Tensor::new(plan.tokens.as_slice(), device)?;
        let mut rows = self.embedding.embedding(&tokens)?;
        let step = Step {
            rotation: self.rope.at(&plan.positions, device)?,
            slot_runs: &plan.slot_runs,
            attention: &plan.attention,
        };
        for (layer, cache) in self.layers.iter().zip(kv) {
            rows = layer.forward(&rows, cache, &step)?;
        }
        if plan.logit_rows.is_empty() {
            return Tensor::zeros((0, self.vocab_size), DType::F32, device);
        }
        // Only the rows that are asked for pay for the vocabulary.
        let wanted = Tensor::new(plan.logit_rows.as_slice(), device)?;
        let rows = rows.index_select(&wanted, 0)?;
        self.output.forward(&self.output_norm.forward(&rows)?)
    }
}

impl Layer {
    fn build(loader: &mut Loader<'_>, index: usize) -> std::result::Result<Self, ModelError> {
        let config = loader.config;
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let queries = config.num_heads * config.head_dim;
        let keys = config.num_kv_heads * config.head_dim;
        Ok(Self {
            attention_norm: loader.norm(Weight::AttentionNorm(index))?,
            query: loader.matrix(Weight::Query(index), queries, hidden)?,
            key: loader.matrix(Weight::Key(index), keys, hidden)?,
            value: loader.matrix(Weight::Value(index), keys, hidden)?,
            attention_output: loader.matrix(Weight::AttentionOutput(index), hidden, queries)?,
            feed_forward_norm: loader.norm(Weight::FeedForwardNorm(index))?,
            gate: loader.matrix(Weight::Gate(index), inner, hidden)?,
            up: loader.matrix(Weight::Up(index), inner, hidden)?,
            down: loader.matrix(Weight::Down(index), hidden, inner)?,
            head_dim: config.head_dim,
        })
    }

    fn forward(&self, rows: &Tensor, cache: &LayerCache, step: &Step<'_>) -> Result<Tensor> {
        let rows = (rows + self.attention(&self.attention_norm.forward(rows)?, cache, step)?)?;
        &rows + self.feed_forward(&self.feed_forward_norm.forward(&rows)?)?
    }

    fn attention(&self, rows: &Tensor, cache: &LayerCache, step: &Step<'_>) -> Result<Tensor> {
        let heads = |projected: Tensor| projected.reshape((rows.dim(0)?, (), self.head_dim));
        let queries = step.rotation.apply(&heads(self.query.forward(rows)?)?)?;
        let keys = step.rotation.apply(&heads(self.key.forward(rows)?)?)?;
        let values = heads(self.value.forward(rows)?)?;
        cache.write(&keys, &values, step.slot_runs)?;
        self.attention_output.forward(&attend(&queries, cache, step.attention)?)
    }

    fn feed_forward(&self, rows: &Tensor) -> Result<Tensor> {
        let gated = (silu(&self.gate.forward(rows)?)? * self.up.forward(rows)?)?;
        self.down.forward(&gated)
    }
}

/// Brings weights from where they come from to the device.
struct Loader<'a> {
    config: &'a ModelConfig,
    source: &'a mut dyn WeightSource,
    weight_type: Option<WeightType>,
    device: &'a Device,
}

impl Loader<'_> {
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
