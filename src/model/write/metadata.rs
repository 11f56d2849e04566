//! A merged GGUF's metadata: the base's own, or made from its configuration.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;

use super::super::{ModelConfig, RopeScaling};
use super::MergeType;

/// What the merged file says of itself.
pub(in super::super) struct Made {
    pub(in super::super) name: String,
    pub(in super::super) weight_type: MergeType,
}

impl Made {
    fn entries(&self) -> [(String, Value); 3] {
        [
            ("general.name".to_owned(), Value::String(self.name.clone())),
            ("general.file_type".to_owned(), Value::U32(self.weight_type.file_type())),
            // The layout of quantised blocks that ggml has had since 2023.
            ("general.quantization_version".to_owned(), Value::U32(2)),
        ]
    }
}

/// The base's metadata, less what is no longer so.
pub(in super::super) fn from_gguf(
    base: &HashMap<String, Value>,
    made: &Made,
) -> Vec<(String, Value)> {
    let entries = made.entries();
    let stale = |key: &str| {
        key == "general.alignment"
            || key.starts_with("quantize.imatrix.")
            || entries.iter().any(|(new, _)| new == key)
    };
    let kept = base.iter().filter(|(key, _)| !stale(key));
    let kept = kept.map(|(key, value)| (key.clone(), value.clone()));
    let mut metadata: Vec<_> = kept.chain(entries.clone()).collect();
    sort(&mut metadata);
    metadata
}

/// Metadata of the `llama` architecture, with a tokenizer's.
pub(in super::super) fn from_config(
    config: &ModelConfig,
    tokenizer: &[(String, Value)],
    made: &Made,
) -> Vec<(String, Value)> {
    let size = |n: usize| Value::U32(n as u32);
    let mut metadata = vec![
        ("general.architecture".to_owned(), Value::String("llama".into())),
        ("general.type".to_owned(), Value::String("model".into())),
    ];
    metadata.extend(made.entries());
    for (key, value) in [
        ("block_count", size(config.num_layers)),
        ("context_length", size(config.context_length)),
        ("embedding_length", size(config.hidden_size)),
        ("feed_forward_length", size(config.intermediate_size)),
        ("vocab_size", size(config.vocab_size)),
        ("attention.head_count", size(config.num_heads)),
        ("attention.head_count_kv", size(config.num_kv_heads)),
        ("attention.key_length", size(config.head_dim)),
        ("attention.value_length", size(config.head_dim)),
        ("attention.layer_norm_rms_epsilon", Value::F32(config.norm_eps as f32)),
        ("rope.dimension_count", size(config.head_dim)),
        ("rope.freq_base", Value::F32(config.rope.theta as f32)),
    ] {
        metadata.push((format!("llama.{key}"), value));
    }
    if let Some(window) = config.sliding_window {
        metadata.push(("llama.attention.sliding_window".to_owned(), size(window)));
    }
    if let RopeScaling::Linear(factor) = config.rope.scaling {
        metadata.push(("llama.rope.scaling.type".to_owned(), Value::String("linear".into())));
        metadata.push(("llama.rope.scaling.factor".to_owned(), Value::F32(factor as f32)));
    }
    metadata.extend(tokenizer.iter().cloned());
    sort(&mut metadata);
    metadata
}

/// What the model is, before its vocabulary.
fn sort(metadata: &mut [(String, Value)]) {
    metadata.sort_by(|(a, _), (b, _)| {
        (a != "general.architecture", a).cmp(&(b != "general.architecture", b))
    });
}
