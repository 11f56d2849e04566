//! Tiny models on disk, with weights from the formula of `fixtures/tiny_models.py`.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use serde_json::Value as Json;

/// FNV-1a of the name seeds splitmix64; uniform, with a linear layer's variance.
pub(crate) fn formula(name: &str, shape: &[usize]) -> Tensor {
    let seed = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3));
    let unit = |index: u64| {
        let mut z = seed.wrapping_add((index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    let scale = |u: f64| match shape {
        [_] => 1.0 + 0.2 * u,
        _ if name.contains("embed_tokens") => u * 3f64.sqrt(),
        _ => u * (3.0 / shape[1] as f64).sqrt(),
    };
    let count = shape.iter().product::<usize>() as u64;
    let values = (0..count).map(|i| scale(unit(i)) as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The dimensions of a Hugging Face `config.json`.
pub(crate) struct Dimensions<'a>(pub(crate) &'a Json);

impl Dimensions<'_> {
    pub(crate) fn get(&self, key: &str) -> usize {
        self.0[key].as_u64().unwrap() as usize
    }

    fn is_tied(&self) -> bool {
        self.0["tie_word_embeddings"] == true
    }

    /// Every weight: its safetensors name, its GGUF name, and its values.
    pub(crate) fn weights(&self) -> Vec<(String, String, Tensor)> {
        let [hidden, inner, vocab, head_dim] =
            ["hidden_size", "intermediate_size", "vocab_size", "head_dim"].map(|k| self.get(k));
        let queries = self.get("num_attention_heads") * head_dim;
        let keys = self.get("num_key_value_heads") * head_dim;
        let mut weights = Vec::new();
        let mut add = |name: String, gguf: String, shape: &[usize]| {
            let values = formula(&name, shape);
            weights.push((name, gguf, values));
        };
        add("model.embed_tokens.weight".into(), "token_embd.weight".into(), &[vocab, hidden]);
        add("model.norm.weight".into(), "output_norm.weight".into(), &[hidden]);
        if !self.is_tied() {
            add("lm_head.weight".into(), "output.weight".into(), &[vocab, hidden]);
        }
        for layer in 0..self.get("num_hidden_layers") {
            for (name, gguf, shape) in [
                ("input_layernorm", "attn_norm", vec![hidden]),
                ("self_attn.q_proj", "attn_q", vec![queries, hidden]),
                ("self_attn.k_proj", "attn_k", vec![keys, hidden]),
                ("self_attn.v_proj", "attn_v", vec![keys, hidden]),
                ("self_attn.o_proj", "attn_output", vec![hidden, queries]),
                ("post_attention_layernorm", "ffn_norm", vec![hidden]),
                ("mlp.gate_proj", "ffn_gate", vec![inner, hidden]),
                ("mlp.up_proj", "ffn_up", vec![inner, hidden]),
                ("mlp.down_proj", "ffn_down", vec![hidden, inner]),
            ] {
                add(
                    format!("model.layers.{layer}.{name}.weight"),
                    format!("blk.{layer}.{gguf}.weight"),
                    &shape,
                );
            }
        }
        weights
    }
}

/// Writes `config.json` and `shards` safetensors files of the given type.
pub(crate) fn write_safetensors(directory: &Path, config: &Json, dtype: DType, shards: usize) {
    std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
    let weights = Dimensions(config).weights();
    for (index, part) in weights.chunks(weights.len().div_ceil(shards)).enumerate() {
        let tensors: HashMap<_, _> = part
            .iter()
            .map(|(name, _, values)| (name.clone(), values.to_dtype(dtype).unwrap()))
            .collect();
        let name = format!("model-{:05}-of-{shards:05}.safetensors", index + 1);
        candle_core::safetensors::save(&tensors, directory.join(name)).unwrap();
    }
}

/// A GGUF to be written, and to be spoiled before.
pub(crate) struct Gguf {
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) tensors: Vec<(String, QTensor)>,
}

impl Gguf {
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.metadata.retain(|(existing, _)| existing != key);
        self.metadata.push((key.into(), value));
    }

    pub(crate) fn write(&self, path: &Path) {
        let metadata: Vec<_> = self.metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let tensors: Vec<_> = self.tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
        gguf_file::write(&mut File::create(path).unwrap(), &metadata, &tensors).unwrap();
    }
}

/// A model as llama.cpp's converter would write it: query and key rows permuted,
/// matrices in `dtype`, norms in f32 (of values that a 16-bit `dtype` can hold); `divisors` are Llama 3's rotary divisors.
pub(crate) fn gguf(config: &Json, dtype: GgmlDType, divisors: Option<&Tensor>) -> Gguf {
    let dims = Dimensions(config);
    let mut tensors: Vec<(String, QTensor)> = dims
        .weights()
        .into_iter()
        .map(|(_, name, values)| {
            let is_rotated = name.ends_with("attn_q.weight") || name.ends_with("attn_k.weight");
            let values = match is_rotated {
                true => neighbouring_pairs(&values, dims.get("head_dim")),
                false => values,
            };
            let stored = match (values.rank(), dtype) {
                (1, GgmlDType::F16 | GgmlDType::BF16) => {
                    let rounded = QTensor::quantize(&values, dtype).unwrap();
                    let values = rounded.dequantize(&Device::Cpu).unwrap();
                    QTensor::quantize(&values, GgmlDType::F32)
                }
                (1, _) => QTensor::quantize(&values, GgmlDType::F32),
                _ => QTensor::quantize(&values, dtype),
            };
            (name, stored.unwrap())
        })
        .collect();
    if let Some(divisors) = divisors {
        let divisors = QTensor::quantize(divisors, GgmlDType::F32).unwrap();
        tensors.push(("rope_freqs.weight".into(), divisors));
    }
    Gguf { metadata: gguf_metadata(config), tensors }
}

fn gguf_metadata(config: &Json) -> Vec<(String, Value)> {
    let size = |key: &str| Value::U32(Dimensions(config).get(key) as u32);
    let mut metadata = vec![
        ("general.architecture".to_owned(), Value::String("llama".into())),
        ("general.name".to_owned(), Value::String("Tiny".into())),
    ];
    for (key, value) in [
        ("embedding_length", size("hidden_size")),
        ("feed_forward_length", size("intermediate_size")),
        ("block_count", size("num_hidden_layers")),
        ("attention.head_count", size("num_attention_heads")),
        ("attention.head_count_kv", size("num_key_value_heads")),
        ("attention.key_length", size("head_dim")),
        ("rope.dimension_count", size("head_dim")),
        ("context_length", size("max_position_embeddings")),
        (
            "attention.layer_norm_rms_epsilon",
            Value::F32(config["rms_norm_eps"].as_f64().unwrap() as f32),
        ),
        (
            "rope.freq_base",
            Value::F32(config["rope_parameters"]["rope_theta"].as_f64().unwrap() as f32),
        ),
    ] {
        metadata.push((format!("llama.{key}"), value));
    }
    metadata
}

/// Rows of each head so that rotated pairs, half a head apart, become neighbours.
fn neighbouring_pairs(weights: &Tensor, head_dim: usize) -> Tensor {
    let (rows, columns) = weights.dims2().unwrap();
    weights
        .reshape((rows / head_dim, 2, head_dim / 2, columns))
        .and_then(|halves| halves.transpose(1, 2))
        .and_then(|pairs| pairs.reshape((rows, columns)))
        .unwrap()
}
