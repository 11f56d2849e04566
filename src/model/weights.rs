//! The decoder's weights by role, their names in both file formats, and the seam
//! between a decoder being built and where its weights come from.

use std::borrow::Cow;

use candle_core::Device;
use candle_core::quantized::{QTensor, ggml_file::qtensor_from_ggml};

use super::{ModelError, WeightType};
use crate::kernels::StoredRows;

/// One weight of the decoder. Matrices are stored `(out, in)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Weight {
    TokenEmbedding,
    OutputNorm,
    Output,
    AttentionNorm(usize),
    Query(usize),
    Key(usize),
    Value(usize),
    AttentionOutput(usize),
    FeedForwardNorm(usize),
    Gate(usize),
    Up(usize),
    Down(usize),
}

impl Weight {
    /// The name in GGUF files of the `llama` architecture.
    pub(super) fn gguf_name(self) -> String {
        let (layer, part) = match self {
            Self::TokenEmbedding => return "token_embd.weight".into(),
            Self::OutputNorm => return "output_norm.weight".into(),
            Self::Output => return "output.weight".into(),
            Self::AttentionNorm(layer) => (layer, "attn_norm"),
            Self::Query(layer) => (layer, "attn_q"),
            Self::Key(layer) => (layer, "attn_k"),
            Self::Value(layer) => (layer, "attn_v"),
            Self::AttentionOutput(layer) => (layer, "attn_output"),
            Self::FeedForwardNorm(layer) => (layer, "ffn_norm"),
            Self::Gate(layer) => (layer, "ffn_gate"),
            Self::Up(layer) => (layer, "ffn_up"),
            Self::Down(layer) => (layer, "ffn_down"),
        };
        format!("blk.{layer}.{part}.weight")
    }

    /// The name in Hugging Face safetensors of Llama and Mistral.
    pub(super) fn safetensors_name(self) -> String {
        format!("{}.weight", self.module())
    }

    /// The module that holds it in transformers' Llama and Mistral.
    pub(super) fn module(self) -> String {
        let (layer, part) = match self {
            Self::TokenEmbedding => return "model.embed_tokens".into(),
            Self::OutputNorm => return "model.norm".into(),
            Self::Output => return "lm_head".into(),
            Self::AttentionNorm(layer) => (layer, "input_layernorm"),
            Self::Query(layer) => (layer, "self_attn.q_proj"),
            Self::Key(layer) => (layer, "self_attn.k_proj"),
            Self::Value(layer) => (layer, "self_attn.v_proj"),
            Self::AttentionOutput(layer) => (layer, "self_attn.o_proj"),
            Self::FeedForwardNorm(layer) => (layer, "post_attention_layernorm"),
            Self::Gate(layer) => (layer, "mlp.gate_proj"),
            Self::Up(layer) => (layer, "mlp.up_proj"),
            Self::Down(layer) => (layer, "mlp.down_proj"),
        };
        format!("model.layers.{layer}.{part}")
    }

    /// The last part of its module's name, the same in every layer.
    pub(super) fn kind(self) -> String {
        let module = self.module();
        module.rsplit('.').next().unwrap_or_default().to_owned()
    }

    /// Whether its outputs are heads that are rotated, whose rows GGUF permutes.
    pub(super) fn is_rotated(self) -> bool {
        matches!(self, Self::Query(_) | Self::Key(_))
    }

    /// Whether it is a norm.
    pub(super) fn is_norm(self) -> bool {
        matches!(self, Self::OutputNorm | Self::AttentionNorm(_) | Self::FeedForwardNorm(_))
    }
}

/// The row of a rotated matrix in Hugging Face's order, where a head's pairs lie half a
/// head apart, that GGUF, where they are neighbours, has at `row`.
pub(super) fn row_of_neighbours(row: usize, head_dim: usize) -> usize {
    let within = row % head_dim;
    row - within + within % 2 * (head_dim / 2) + within / 2
}

/// The other way round: the row in GGUF's order that is `row` in Hugging Face's.
pub(super) fn row_of_halves(row: usize, head_dim: usize) -> usize {
    let (within, half) = (row % head_dim, head_dim / 2);
    row - within + within % half * 2 + within / half
}

/// Where weights come from: a GGUF file, safetensors, or a seed.
pub(super) trait WeightSource {
    /// Whether the output matrix is the token embedding itself.
    fn has_tied_embeddings(&self) -> bool;

    /// A norm's `len` weights.
    fn vector(&mut self, weight: Weight, len: usize) -> Result<Vec<f32>, ModelError> {
        let row = self.matrix(weight, 1, len)?;
        Ok(quantized(&row)?.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()?)
    }

    /// A matrix of shape `(out, input)`, as it is stored.
    fn matrix(
        &mut self,
        weight: Weight,
        out: usize,
        input: usize,
    ) -> Result<StoredRows<'static>, ModelError>;
}

/// In which type a matrix is kept: the one asked for, or else the one it is stored in;
/// where that has no product or rows do not divide into its blocks, `Q8_0`, and then
/// `F32`.
pub(super) fn convert(
    stored: StoredRows<'static>,
    asked: Option<WeightType>,
    has_product: impl Fn(WeightType, usize) -> bool,
) -> Result<StoredRows<'static>, ModelError> {
    let columns = stored.num_columns;
    let fits = |dtype: WeightType| {
        columns.is_multiple_of(dtype.block_size()) && has_product(dtype, columns)
    };
    let choices = [asked.unwrap_or(stored.dtype), WeightType::Q8_0];
    let wanted = choices.into_iter().find(|&dtype| fits(dtype)).unwrap_or(WeightType::F32);
    if wanted == stored.dtype {
        return Ok(stored);
    }
    let floats = quantized(&stored)?.dequantize(&Device::Cpu)?;
    let converted = QTensor::quantize(&floats, wanted)?;
    Ok(StoredRows { dtype: wanted, bytes: Cow::Owned(converted.data()?.into_owned()), ..stored })
}

/// A stored matrix as candle holds it.
pub(super) fn quantized(stored: &StoredRows<'_>) -> Result<QTensor, ModelError> {
    let shape = vec![stored.num_rows, stored.num_columns];
    Ok(qtensor_from_ggml(stored.dtype, &stored.bytes, shape, &Device::Cpu)?)
}
