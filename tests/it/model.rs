//! Logits against transformers and llama.cpp, one file format against the other, and
//! files that must be refused.

use std::path::{Path, PathBuf};

use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use candle_core::{DType, Device, Tensor};
use dramatis::model::{
    Backend, BatchSequence, LoadOptions, LogitRows, Model, ModelError, ModelFile, RopeScaling,
    SlidingWindow, WeightType, inspect,
};
use serde_json::Value as Json;

use crate::support::models::small_model;
use crate::support::{json_fixture, tiny};

type Rows = Vec<Vec<f32>>;

/// Logits of every position, prefilled in two chunks over shuffled blocks.
fn logits(model: &Model, tokens: &[u32]) -> Rows {
    let mut kv = model.kv_cache(16, 16).unwrap();
    let block_table = [11, 3, 7, 0, 2, 15, 9, 8];
    let cut = tokens.len() * 2 / 3;
    [(&tokens[..cut], 0), (&tokens[cut..], cut)]
        .into_iter()
        .flat_map(|(tokens, position)| {
            let logits = LogitRows::All;
            let sequence = BatchSequence { tokens, position, block_table: &block_table, logits };
            let logits = model.forward(&[sequence], &mut kv).unwrap();
            logits.rows().map(<[f32]>::to_vec).collect::<Vec<_>>()
        })
        .collect()
}

fn load(path: &Path) -> Model {
    Model::load(path, &LoadOptions::default()).unwrap()
}

/// The same on candle, which keeps keys and values in f32: the tighter comparison.
fn load_reference(path: &Path, options: &LoadOptions) -> Model {
    let options = LoadOptions { backend: Backend::reference(), ..options.clone() };
    Model::load(path, &options).unwrap()
}

fn load_as(path: &Path, weight_type: WeightType) -> Model {
    let options = LoadOptions { weight_type: Some(weight_type), ..LoadOptions::default() };
    Model::load(path, &options).unwrap()
}

fn largest_difference(a: &Rows, b: &Rows) -> f32 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[track_caller]
fn assert_close(a: &Rows, b: &Rows, tolerance: f32) {
    let difference = largest_difference(a, b);
    assert!(difference <= tolerance, "logits differ by {difference}, more than {tolerance}");
}

/// A case of `fixtures/tiny_models.py`: configuration, tokens, logits by transformers.
fn tiny_case(name: &str) -> (Json, Vec<u32>, Rows) {
    let case = json_fixture("tiny_models.json")[name].take();
    let field = |key: &str| case[key].clone();
    (
        field("config"),
        serde_json::from_value(field("tokens")).unwrap(),
        serde_json::from_value(field("logits")).unwrap(),
    )
}

const WINDOWED: &str = "mistral with a window of 5";
const STRETCHED: &str = "llama 3 with stretched rotary frequencies and tied embeddings";
/// The references are rounded to 1e-5, and f32 sums differ in order.
const REFERENCE_TOLERANCE: f32 = 1e-4;
/// Our kernels keep keys and values in half precision.
const TINY_TOLERANCE: f32 = 1e-2;

#[test]
fn safetensors_of_tiny_models_agree_with_transformers() {
    for name in [WINDOWED, STRETCHED] {
        let (config, tokens, expected) = tiny_case(name);
        let directory = tempfile::tempdir().unwrap();
        tiny::write_safetensors(directory.path(), &config, DType::F32, 2);
        assert_close(&logits(&load(directory.path()), &tokens), &expected, TINY_TOLERANCE);
        let reference = load_reference(directory.path(), &LoadOptions::default());
        assert_close(&logits(&reference, &tokens), &expected, REFERENCE_TOLERANCE);
    }
}

#[test]
fn the_window_matters_and_can_be_overridden() {
    let (config, tokens, expected) = tiny_case(WINDOWED);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.gguf");
    tiny::gguf(&config, GgmlDType::F32, None).write(&path);
    // As converted files of Mistral do, this one says nothing of a window.
    let without = load(&path);
    assert_eq!(without.config().sliding_window, None);
    let options =
        LoadOptions { sliding_window: SlidingWindow::Positions(5), ..LoadOptions::default() };
    let with = Model::load(&path, &options).unwrap();
    assert_close(&logits(&with, &tokens), &expected, TINY_TOLERANCE);
    let reference = load_reference(&path, &options);
    assert_close(&logits(&reference, &tokens), &expected, REFERENCE_TOLERANCE);
    assert!(largest_difference(&logits(&without, &tokens), &expected) > 0.1);
    assert_ne!(with.fingerprint(), without.fingerprint());
}

#[test]
fn a_gguf_agrees_with_its_safetensors() {
    let (config, tokens, expected) = tiny_case(STRETCHED);
    let directory = tempfile::tempdir().unwrap();
    tiny::write_safetensors(directory.path(), &config, DType::F32, 1);
    let safetensors = logits(&load(directory.path()), &tokens);

    // The converter turns Llama 3's scaling into divisors of the frequencies.
    let divisors = llama3_divisors(&config);
    let path = directory.path().join("tiny.gguf");
    tiny::gguf(&config, GgmlDType::F32, Some(&divisors)).write(&path);
    let gguf = load(&path);
    assert!(matches!(gguf.config().rope.scaling, RopeScaling::Divisors(_)));
    assert_close(&logits(&gguf, &tokens), &safetensors, TINY_TOLERANCE);
    assert_close(&logits(&gguf, &tokens), &expected, TINY_TOLERANCE);

    // Quantised while loading, or quantised in the file: the same weights.
    tiny::gguf(&config, GgmlDType::Q8_0, Some(&divisors)).write(&path);
    let stored = logits(&load(&path), &tokens);
    let converted = logits(&load_as(directory.path(), WeightType::Q8_0), &tokens);
    assert_close(&converted, &stored, TINY_TOLERANCE);
    let loss = largest_difference(&stored, &safetensors);
    assert!((1e-3..0.5).contains(&loss), "8 bits lose something, not much: {loss}");
}

fn llama3_divisors(config: &Json) -> Tensor {
    let rope = &config["rope_parameters"];
    let [theta, factor, low, high, original] =
        ["rope_theta", "factor", "low_freq_factor", "high_freq_factor"]
            .map(|key| rope[key].as_f64().unwrap())
            .into_iter()
            .chain(rope["original_max_position_embeddings"].as_f64())
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
    let head_dim = config["head_dim"].as_u64().unwrap();
    let divisors: Vec<f32> = (0..head_dim / 2)
        .map(|i| {
            let wavelength =
                std::f64::consts::TAU * f64::powf(theta, 2.0 * i as f64 / head_dim as f64);
            let smooth = (original / wavelength - low) / (high - low);
            match smooth {
                s if s <= 0.0 => factor as f32,
                s if s >= 1.0 => 1.0,
                s => (1.0 / ((1.0 - s) / factor + s)) as f32,
            }
        })
        .collect();
    Tensor::new(divisors, &Device::Cpu).unwrap()
}

#[test]
fn half_precision_safetensors_are_read_exactly() {
    let (config, tokens, _) = tiny_case(WINDOWED);
    for (dtype, gguf_dtype) in [(DType::F16, GgmlDType::F16), (DType::BF16, GgmlDType::BF16)] {
        let directory = tempfile::tempdir().unwrap();
        tiny::write_safetensors(directory.path(), &config, dtype, 1);
        let path = directory.path().join("model-00001-of-00001.safetensors");
        let safetensors = logits(&load(&path), &tokens);
        let gguf = directory.path().join("tiny.gguf");
        tiny::gguf(&config, gguf_dtype, None).write(&gguf);
        let options =
            LoadOptions { sliding_window: SlidingWindow::Positions(5), ..LoadOptions::default() };
        let gguf = logits(&Model::load(&gguf, &options).unwrap(), &tokens);
        assert_close(&safetensors, &gguf, TINY_TOLERANCE);
    }
}

/// Every type that a GGUF may hold, some in rows of a single block.
#[test]
fn every_weight_type_can_be_multiplied() {
    let (mut config, tokens, _) = tiny_case(WINDOWED);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.gguf");
    let small = [
        (GgmlDType::Q4_0, 1.5),
        (GgmlDType::Q4_1, 1.5),
        (GgmlDType::Q5_0, 0.8),
        (GgmlDType::Q5_1, 0.8),
        (GgmlDType::Q8_0, 0.1),
    ];
    check_types(&path, &config, &tokens, &small);
    config["hidden_size"] = 256.into();
    config["intermediate_size"] = 256.into();
    config["head_dim"] = 64.into();
    let large = [
        (GgmlDType::Q2K, 6.0),
        (GgmlDType::Q3K, 3.0),
        (GgmlDType::Q4K, 1.5),
        (GgmlDType::Q5K, 0.8),
        (GgmlDType::Q6K, 0.4),
    ];
    check_types(&path, &config, &tokens, &large);
}

fn check_types(path: &Path, config: &Json, tokens: &[u32], types: &[(GgmlDType, f32)]) {
    tiny::gguf(config, GgmlDType::F32, None).write(path);
    let exact = logits(&load(path), tokens);
    for &(weight_type, most) in types {
        tiny::gguf(config, weight_type, None).write(path);
        let stored = logits(&load(path), tokens);
        let loss = largest_difference(&stored, &exact);
        assert!(loss > 0.0 && loss < most, "{weight_type:?} loses {loss}");
        // Converted to f32 it computes the same, but for 8-bit activations.
        let converted = logits(&load_as(path, WeightType::F32), tokens);
        assert_close(&converted, &stored, 0.2);
    }
}

/// Rows of `fixtures/small_model_logits.py`: position, and logits by token id.
fn reference_rows(rows: &Json) -> Vec<(usize, Vec<(usize, f32)>)> {
    let row = |row: &Json| {
        let logits = row["logits"].as_object().unwrap().iter();
        let logits = logits.map(|(id, x)| (id.parse().unwrap(), x.as_f64().unwrap() as f32));
        (row["position"].as_u64().unwrap() as usize, logits.collect())
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

fn worst_against(ours: &Rows, reference: &Json) -> f32 {
    let mut worst = 0f32;
    for (position, logits) in reference_rows(reference) {
        for (id, expected) in logits {
            worst = worst.max((ours[position][id] - expected).abs());
        }
    }
    worst
}

#[test]
fn small_model_agrees_with_transformers() {
    let reference = json_fixture("small_model_logits.json");
    let tokens: Vec<u32> = serde_json::from_value(reference["tokens"].clone()).unwrap();
    let ours = logits(&load_as(&small_model(), WeightType::F32), &tokens);
    let worst = worst_against(&ours, &reference["transformers"]);
    assert!(worst < 2e-2, "logits of magnitude 25 differ by {worst}");
    let options = LoadOptions { weight_type: Some(WeightType::F32), ..LoadOptions::default() };
    let candle = logits(&load_reference(&small_model(), &options), &tokens);
    let worst = worst_against(&candle, &reference["transformers"]);
    assert!(worst < 2e-3, "logits of magnitude 25 differ by {worst}");
}

#[test]
fn small_model_agrees_with_llama_cpp() {
    let reference = json_fixture("small_model_logits.json");
    let tokens: Vec<u32> = serde_json::from_value(reference["tokens"].clone()).unwrap();
    let model = load(&small_model());
    let ours = logits(&model, &tokens);
    let worst = worst_against(&ours, &reference["llama.cpp"]);
    // Both round activations to 8 bits, in blocks of their own making.
    assert!(worst < 0.5, "logits of magnitude 25 differ by {worst}");

    let expected: Vec<u32> = serde_json::from_value(reference["llama.cpp greedy"].clone()).unwrap();
    assert_eq!(greedy(&model, &tokens, expected.len()), expected);
}

fn greedy(model: &Model, prompt: &[u32], count: usize) -> Vec<u32> {
    let mut kv = model.kv_cache(8, 32).unwrap();
    let mut step = |tokens: &[u32], position| {
        let block_table = &[0, 1, 2, 3, 4, 5, 6, 7];
        let sequence = BatchSequence { tokens, position, block_table, logits: LogitRows::Last };
        let logits = model.forward(&[sequence], &mut kv).unwrap();
        let row = logits.rows().next().unwrap();
        let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        best.unwrap() as u32
    };
    let mut ids = vec![step(prompt, 0)];
    while ids.len() < count {
        ids.push(step(&ids[ids.len() - 1..], prompt.len() + ids.len() - 1));
    }
    ids
}

#[test]
fn inspect_describes_a_model_without_loading_it() {
    let info = inspect(&small_model()).unwrap();
    assert_eq!(info.name.as_deref(), Some("Smollm2 135M 8k Lc100K Mix1 Ep2"));
    assert_eq!((info.format, info.quantization.as_str()), ("GGUF", "Q4_1"));
    assert_eq!(info.tokenizer.as_deref(), Some("gpt2/smollm"));
    assert_eq!((info.num_parameters, info.size_bytes), (134_515_008, 98_362_432));
    assert_eq!(info.config.context_length, 8192);
    assert_eq!(info.fingerprint, inspect(&small_model()).unwrap().fingerprint);
}

#[test]
fn a_fingerprint_follows_weights_and_options() {
    let (mut config, _, _) = tiny_case(WINDOWED);
    let directory = tempfile::tempdir().unwrap();
    let fingerprint = |config: &Json, dtype| {
        tiny::write_safetensors(directory.path(), config, dtype, 1);
        inspect(directory.path()).unwrap().fingerprint
    };
    let first = fingerprint(&config, DType::F32);
    assert_eq!(first, fingerprint(&config, DType::F32));
    assert_ne!(first, fingerprint(&config, DType::BF16));
    config["sliding_window"] = 6.into();
    assert_ne!(first, fingerprint(&config, DType::F32));
}

/// A sound GGUF, its path, and its bytes to damage.
fn sound_gguf(directory: &Path) -> (PathBuf, Vec<u8>) {
    let path = directory.join("tiny.gguf");
    tiny::gguf(&tiny_case(WINDOWED).0, GgmlDType::F32, None).write(&path);
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

fn refusal(path: &Path) -> ModelError {
    inspect(path).expect_err("the file must be refused")
}

#[test]
fn truncated_files_are_refused_wherever_they_end() {
    let directory = tempfile::tempdir().unwrap();
    let (path, bytes) = sound_gguf(directory.path());
    assert!(inspect(&path).is_ok());
    for len in (0..bytes.len()).step_by(bytes.len() / 97).chain([bytes.len() - 1]) {
        std::fs::write(&path, &bytes[..len]).unwrap();
        let error = refusal(&path);
        let expected = if len < 4 { "foreign" } else { "corrupt" };
        assert_eq!(error.kind(), expected, "{len} of {} bytes: {error}", bytes.len());
    }
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(refusal(&path).to_string().contains("but the file has only"));

    tiny::write_safetensors(directory.path(), &tiny_case(WINDOWED).0, DType::F32, 1);
    let path = directory.path().join("model-00001-of-00001.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    for len in [9, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert_eq!(refusal(&path).kind(), "corrupt", "{len}");
    }
}

#[test]
fn damaged_headers_never_panic() {
    let directory = tempfile::tempdir().unwrap();
    let (path, bytes) = sound_gguf(directory.path());
    for at in (4..1500).step_by(5) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xFF;
        std::fs::write(&path, &damaged).unwrap();
        // Refused or, where the byte does not matter, read; it must come back.
        let _ = ModelFile::open(&path);
    }
}

#[test]
fn foreign_files_are_named_for_what_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.gguf");
    let refuse = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        match refusal(&path) {
            ModelError::Foreign { reason, .. } => reason,
            other => panic!("not foreign: {other}"),
        }
    };
    let refusals = [
        refuse(b""),
        refuse(b"PK\x03\x04................"),
        refuse(b"<!DOCTYPE html><html>"),
        refuse(b"version https://git-lfs.github.com/spec/v1"),
        refuse(b"tjgg............"),
        refuse(b"something else entirely"),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @"
    it is empty
    it looks like a zip archive or a PyTorch checkpoint
    it looks like a web page saved in place of the download
    it is a Git LFS pointer, not the file it stands for
    it is an old GGML file; convert it to GGUF
    it begins like neither GGUF nor safetensors
    ");
    std::fs::write(&path, b"GGUF\x03\x00\x00\x00").unwrap();
    assert_eq!(refusal(&path).kind(), "corrupt");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(refusal(&path).kind(), "io");
    assert_eq!(refusal(directory.path()).kind(), "foreign");
}

#[test]
fn models_that_do_not_fit_the_decoder_are_refused() {
    let (config, _, _) = tiny_case(WINDOWED);
    let directory = tempfile::tempdir().unwrap();
    let refuse = |change: &dyn Fn(&mut Json)| {
        let mut changed = config.clone();
        change(&mut changed);
        tiny::write_safetensors(directory.path(), &config, DType::F32, 1);
        std::fs::write(directory.path().join("config.json"), changed.to_string()).unwrap();
        let error = refusal(directory.path()).to_string();
        error.replace(&directory.path().display().to_string(), "DIR")
    };
    let refusals = [
        refuse(&|c| c["model_type"] = "gemma3_text".into()),
        refuse(&|c| c["hidden_act"] = "gelu".into()),
        refuse(&|c| c["rope_parameters"]["rope_type"] = "yarn".into()),
        refuse(&|c| c["num_hidden_layers"] = 3.into()),
        refuse(&|c| c["vocab_size"] = 65.into()),
        refuse(&|c| c["num_key_value_heads"] = 3.into()),
        refuse(&|c| c["sliding_window"] = 0.into()),
        refuse(&|c| drop(c.as_object_mut().unwrap().remove("hidden_size"))),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @"
    DIR/config.json is not supported: its model_type is `gemma3_text`; supported are llama, mistral
    DIR/config.json is not supported: its activation is not `silu`, which is the only one supported
    DIR/config.json is not supported: rotary scaling `yarn`; supported are default, linear and llama3
    DIR has no tensor `model.layers.2.input_layernorm.weight`: the file is incomplete or of another architecture
    DIR: tensor `model.embed_tokens.weight` has shape [64, 32], but the configuration asks for [65, 32]
    DIR is damaged: its configuration is wrong: 4 query heads cannot share 3 key-value heads evenly. Remove it and fetch it again
    DIR is damaged: its configuration is wrong: a sliding window of 0 positions attends to nothing. Remove it and fetch it again
    DIR/config.json is damaged: missing field `hidden_size`. Remove it and fetch it again
    ");
}

#[test]
fn ggufs_that_do_not_fit_the_decoder_are_refused() {
    let (config, _, _) = tiny_case(WINDOWED);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tiny.gguf");
    let refuse = |change: &dyn Fn(&mut tiny::Gguf)| {
        let mut gguf = tiny::gguf(&config, GgmlDType::F32, None);
        change(&mut gguf);
        gguf.write(&path);
        refusal(&path).to_string().replace(&directory.path().display().to_string(), "DIR")
    };
    let text = |text: &str| Value::String(text.into());
    let refusals = [
        refuse(&|g| g.set("general.architecture", text("qwen2"))),
        refuse(&|g| g.set("llama.expert_count", Value::U32(8))),
        refuse(&|g| g.set("llama.rope.scaling.type", text("yarn"))),
        refuse(&|g| g.set("llama.block_count", text("two"))),
        refuse(&|g| g.metadata.retain(|(key, _)| key != "llama.context_length")),
        refuse(&|g| g.tensors.retain(|(name, _)| name != "blk.1.ffn_up.weight")),
        refuse(&|g| g.set("llama.feed_forward_length", Value::U32(96))),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @"
    DIR/tiny.gguf is not supported: its architecture is `qwen2`; supported is `llama` (Llama, Mistral, SmolLM2 and their finetunes)
    DIR/tiny.gguf is not supported: it is a mixture of experts; supported are dense models
    DIR/tiny.gguf is not supported: rotary scaling `yarn`; supported are none, linear and Llama 3's
    DIR/tiny.gguf is damaged: `llama.block_count` in its header is a String. Remove it and fetch it again
    DIR/tiny.gguf is damaged: its header has no `llama.context_length`. Remove it and fetch it again
    DIR/tiny.gguf has no tensor `blk.1.ffn_up.weight`: the file is incomplete or of another architecture
    DIR/tiny.gguf: tensor `blk.0.ffn_gate.weight` has shape [64, 32], but the configuration asks for [96, 32]
    ");
}
