//! Two models behind pools that all tests share: a quick one whose words mean
//! nothing, and the small real one.

use std::path::Path;
use std::sync::OnceLock;

use candle_core::quantized::GgmlDType;
use dramatis::engine::{EngineOptions, KvCacheSize};
use dramatis::model::{LoadOptions, ModelFile, TokenizerSource, WeightType};
use dramatis::pool::{LocalOptions, Pool};
use serde_json::json;

use crate::support::models::small_model;
use crate::support::tiny;

/// The context of both models here.
pub(super) const CONTEXT_TOKENS: usize = 2048;

pub(super) fn engine() -> EngineOptions {
    EngineOptions {
        kv_cache: KvCacheSize::Blocks(4 * CONTEXT_TOKENS / 32),
        context_tokens: Some(CONTEXT_TOKENS),
        ..EngineOptions::default()
    }
}

/// One layer of fixed random weights under the real vocabulary: quick, fluent and
/// senseless. It never ends a reply by itself.
pub(super) fn tiny() -> Pool {
    static TINY: OnceLock<Pool> = OnceLock::new();
    TINY.get_or_init(|| start_tiny(&engine())).clone()
}

/// The same in a pool of the test's own.
pub(super) fn start_tiny(engine: &EngineOptions) -> Pool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.gguf");
    write_tiny(&path);
    start_tiny_from(&path, engine)
}

/// The same from such a file.
pub(super) fn start_tiny_from(path: &Path, engine: &EngineOptions) -> Pool {
    Pool::start(LocalOptions {
        model_name: "tiny".into(),
        model_path: path.to_owned(),
        load: LoadOptions::default(),
        engine: engine.clone(),
    })
    .unwrap()
}

pub(super) fn write_tiny(path: &Path) {
    let small = ModelFile::open(&small_model()).unwrap();
    let Some(TokenizerSource::Gguf(vocabulary)) = small.tokenizer() else {
        panic!("a GGUF brings its tokenizer");
    };
    let mut gguf = tiny::gguf(
        &json!({
            "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
            "vocab_size": 49152, "max_position_embeddings": CONTEXT_TOKENS,
            "rms_norm_eps": 1e-5, "rope_parameters": { "rope_theta": 10000.0 },
            "tie_word_embeddings": true,
        }),
        GgmlDType::F32,
        None,
    );
    for (key, value) in vocabulary.iter().filter(|(key, _)| key.starts_with("tokenizer.")) {
        gguf.set(key, value.clone());
    }
    gguf.write(path);
}

/// The small real model.
pub(super) fn small() -> Pool {
    static SMALL: OnceLock<Pool> = OnceLock::new();
    SMALL.get_or_init(start_small).clone()
}

/// The same in a pool of the test's own, as after a restart.
pub(super) fn start_small() -> Pool {
    Pool::start(LocalOptions {
        model_name: "small".into(),
        model_path: small_model(),
        load: LoadOptions { weight_type: Some(WeightType::F32), ..LoadOptions::default() },
        engine: engine(),
    })
    .unwrap()
}

/// Engine options that admit one request and let one more wait.
pub(super) fn narrow() -> EngineOptions {
    EngineOptions { max_batch_sequences: 1, max_waiting: 1, ..engine() }
}
