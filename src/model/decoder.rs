//! The decoder of the Llama family: RMS norms before attention and a gated
//! feed-forward, residuals around both (Touvron et al. 2023, arXiv:2302.13971;
//! Jiang et al. 2023, arXiv:2310.06825).
//!
//! Linear layers run once over all rows of a step; only attention looks at
//! sequences. Activations are f32.

use candle_core::quantized::QMatMul;
use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::ops::{rms_norm, silu};

use super::attention::attend;
use super::batch::{BatchPlan, SequencePlan};
use super::kv_cache::{KvCache, LayerCache, SlotRun};
use super::rope::{Rope, Rotation};
use super::weights::{Weight, WeightSource};
use super::{ModelConfig, ModelError};

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
    ) -> std::result::Result<Self, ModelError> {
        let embedding = source.embedding(config.vocab_size, config.hidden_size)?;
        let layers = (0..config.num_layers)
            .map(|index| Layer::build(config, source, index))
            .collect::<std::result::Result<_, _>>()?;
        let output_norm = norm(config, source, Weight::OutputNorm)?;
        let output = match &embedding {
            _ if !source.has_tied_embeddings() => {
                source.matrix(Weight::Output, config.vocab_size, config.hidden_size)?
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
        kv: &mut KvCache,
        device: &Device,
    ) -> Result<Tensor> {
        let tokens = Tensor::new(plan.tokens.as_slice(), device)?;
        let mut rows = self.embedding.embedding(&tokens)?;
        let step = Step {
            rotation: self.rope.at(&plan.positions, device)?,
            slot_runs: &plan.slot_runs,
            attention: &plan.attention,
        };
        for (layer, cache) in self.layers.iter().zip(&kv.layers) {
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
    fn build(
        config: &ModelConfig,
        source: &mut dyn WeightSource,
        index: usize,
    ) -> std::result::Result<Self, ModelError> {
        let hidden = config.hidden_size;
        let inner = config.intermediate_size;
        let queries = config.num_heads * config.head_dim;
        let keys = config.num_kv_heads * config.head_dim;
        Ok(Self {
            attention_norm: norm(config, source, Weight::AttentionNorm(index))?,
            query: source.matrix(Weight::Query(index), queries, hidden)?,
            key: source.matrix(Weight::Key(index), keys, hidden)?,
            value: source.matrix(Weight::Value(index), keys, hidden)?,
            attention_output: source.matrix(Weight::AttentionOutput(index), hidden, queries)?,
            feed_forward_norm: norm(config, source, Weight::FeedForwardNorm(index))?,
            gate: source.matrix(Weight::Gate(index), inner, hidden)?,
            up: source.matrix(Weight::Up(index), inner, hidden)?,
            down: source.matrix(Weight::Down(index), hidden, inner)?,
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

fn norm(
    config: &ModelConfig,
    source: &mut dyn WeightSource,
    weight: Weight,
) -> std::result::Result<Norm, ModelError> {
    let weight = source.vector(weight, config.hidden_size)?;
    Ok(Norm { weight, eps: config.norm_eps as f32 })
}
