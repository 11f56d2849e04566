//! The decoder's weights by role, their names in both file formats, and the seam
//! between a decoder being built and where its weights come from.

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{D, Device, Tensor};

use super::{ModelError, WeightType};

/// One weight of the decoder. Matrices are stored `(out, in)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
        let (layer, part) = match self {
            Self::TokenEmbedding => return "model.embed_tokens.weight".into(),
            Self::OutputNorm => return "model.norm.weight".into(),
            Self::Output => return "lm_head.weight".into(),
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
        format!("model.layers.{layer}.{part}.weight")
    }
}

/// Where weights come from: a GGUF file, safetensors, or a seed.
pub(super) trait WeightSource {
    /// Whether the output matrix is the token embedding itself.
    fn has_tied_embeddings(&self) -> bool;

    /// A norm's `(len)` weights, f32.
    fn vector(&mut self, weight: Weight, len: usize) -> Result<Tensor, ModelError>;

    /// A projection of shape `(out, input)`, ready to multiply.
    fn matrix(&mut self, weight: Weight, out: usize, input: usize) -> Result<QMatMul, ModelError>;

    /// The token embedding `(vocab, hidden)`, ready to be looked up.
    fn embedding(&mut self, vocab: usize, hidden: usize) -> Result<QMatMul, ModelError>;
}

/// An f32 matrix made ready to multiply: as it is, or in `weight_type`. Where rows do
/// not divide into a type's blocks, that falls back to `Q8_0`, and then to f32.
pub(super) fn matrix(
    weights: Tensor,
    weight_type: Option<WeightType>,
    device: &Device,
) -> Result<QMatMul, ModelError> {
    let columns = weights.dim(D::Minus1)?;
    let fits = |wanted: &WeightType| multiplies(*wanted, columns);
    let wanted = weight_type
        .map(|wanted| [wanted, WeightType::Q8_0].into_iter().find(fits).unwrap_or(WeightType::F32));
    match wanted {
        None | Some(WeightType::F32) => Ok(QMatMul::Tensor(weights.to_device(device)?)),
        Some(wanted) => {
            let quantized = QTensor::quantize_onto(&weights, wanted, device)?;
            Ok(QMatMul::from_qtensor(quantized)?)
        }
    }
}

/// Whether candle multiplies rows of `columns` weights of this type: whole blocks, of
/// some types whole pairs of blocks, and of one type none at all.
pub(super) fn multiplies(weight_type: WeightType, columns: usize) -> bool {
    let blocks = match weight_type {
        WeightType::Q4_1 | WeightType::Q5_0 | WeightType::Q5_1 => 2,
        WeightType::Q8_1 => return false,
        _ => 1,
    };
    columns.is_multiple_of(blocks * weight_type.block_size())
}
