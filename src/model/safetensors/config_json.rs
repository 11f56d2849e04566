//! `config.json` as transformers writes it, versions 4 and 5.

use std::path::Path;

use serde::Deserialize;

use super::super::{ModelConfig, ModelError, RopeConfig, RopeScaling};

const ARCHITECTURES: [&str; 2] = ["llama", "mistral"];

#[derive(Deserialize)]
struct ConfigJson {
    model_type: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    rms_norm_eps: f64,
    max_position_embeddings: usize,
    rope_theta: Option<f64>,
    /// Version 4: `None` is unscaled, and theta stands outside.
    rope_scaling: Option<RopeJson>,
    /// Version 5: theta stands inside.
    rope_parameters: Option<RopeJson>,
    sliding_window: Option<usize>,
    hidden_act: Option<String>,
    #[serde(default)]
    tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct RopeJson {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<usize>,
}

/// The configuration, and whether the output matrix is the token embedding.
pub(super) fn read(path: &Path) -> Result<(ModelConfig, bool), ModelError> {
    let text = std::fs::read(path).map_err(ModelError::io(path))?;
    let damaged = |e: serde_json::Error| ModelError::corrupt(path, e.to_string());
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
    // The kind first: another architecture's file lacks keys, which would mislead.
    let kind = value.get("model_type").and_then(|v| v.as_str()).unwrap_or("(none)");
    if !ARCHITECTURES.contains(&kind) {
        let known = ARCHITECTURES.join(", ");
        let reason = format!("its model_type is `{kind}`; supported are {known}");
        return Err(ModelError::unsupported(path, reason));
    }
    let json: ConfigJson = serde_json::from_value(value).map_err(damaged)?;
    if json.hidden_act.as_deref().is_some_and(|act| act != "silu") {
        let reason = "its activation is not `silu`, which is the only one supported";
        return Err(ModelError::unsupported(path, reason));
    }
    let head_dim = json.hidden_size.checked_div(json.num_attention_heads).unwrap_or_default();
    let rope = json.rope_parameters.as_ref().or(json.rope_scaling.as_ref());
    let theta = rope.and_then(|rope| rope.rope_theta).or(json.rope_theta);
    let config = ModelConfig {
        architecture: json.model_type,
        hidden_size: json.hidden_size,
        intermediate_size: json.intermediate_size,
        num_layers: json.num_hidden_layers,
        num_heads: json.num_attention_heads,
        num_kv_heads: json.num_key_value_heads.unwrap_or(json.num_attention_heads),
        head_dim: json.head_dim.unwrap_or(head_dim),
        vocab_size: json.vocab_size,
        norm_eps: json.rms_norm_eps,
        rope: RopeConfig {
            theta: theta.unwrap_or(10_000.0),
            scaling: rope.map_or(Ok(RopeScaling::None), |rope| rope.scaling(path))?,
            interleaved: false,
        },
        context_length: json.max_position_embeddings,
        sliding_window: json.sliding_window,
    };
    Ok((config, json.tie_word_embeddings))
}

impl RopeJson {
    fn scaling(&self, path: &Path) -> Result<RopeScaling, ModelError> {
        let kind = self.rope_type.as_deref().unwrap_or("default");
        let need = |value: Option<f64>, name: &str| {
            value.ok_or_else(|| {
                ModelError::corrupt(path, format!("rotary scaling `{kind}` has no `{name}`"))
            })
        };
        match kind {
            "default" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear(need(self.factor, "factor")?)),
            "llama3" => {
                let original_context = self.original_max_position_embeddings.map(|n| n as f64);
                Ok(RopeScaling::Llama3 {
                    factor: need(self.factor, "factor")?,
                    low_freq_factor: need(self.low_freq_factor, "low_freq_factor")?,
                    high_freq_factor: need(self.high_freq_factor, "high_freq_factor")?,
                    original_context: need(original_context, "original_max_position_embeddings")?
                        as usize,
                })
            }
            other => Err(ModelError::unsupported(
                path,
                format!("rotary scaling `{other}`; supported are default, linear and llama3"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (ModelConfig, bool) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        read(&path).unwrap()
    }

    /// As published with Mistral-7B-v0.1, by transformers 4.
    #[test]
    fn mistral_7b_is_read_as_published() {
        let (config, tied) = parse(
            r#"{"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
                "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
                "intermediate_size": 14336, "max_position_embeddings": 32768,
                "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32,
                "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
                "sliding_window": 4096, "tie_word_embeddings": false,
                "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 32000}"#,
        );
        assert_eq!((config, tied), (ModelConfig::mistral_7b(), false));
        assert_eq!(ModelConfig::mistral_7b().num_parameters(false), 7_241_732_096);
    }

    /// As published with Llama 3.2 1B, by transformers 4.
    #[test]
    fn llama_3_2_is_read_as_published() {
        let (config, tied) = parse(
            r#"{"architectures": ["LlamaForCausalLM"], "attention_bias": false,
                "eos_token_id": [128001, 128008, 128009], "head_dim": 64, "hidden_act": "silu",
                "hidden_size": 2048, "intermediate_size": 8192,
                "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
                "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
                "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0,
                "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
                "rope_type": "llama3"}, "rope_theta": 500000.0, "tie_word_embeddings": true,
                "vocab_size": 128256}"#,
        );
        assert!(tied);
        assert_eq!(config.num_parameters(tied), 1_235_814_400);
        assert_eq!(config.rope.theta, 500_000.0);
        let scaling = RopeScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context: 8192,
        };
        assert_eq!(config.rope.scaling, scaling);
        assert_eq!(config.sliding_window, None);
    }
}
