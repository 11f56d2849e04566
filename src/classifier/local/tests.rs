//! Tiny models of each family, against transformers (`tests/fixtures/classifiers.py`), and
//! files that must be refused.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use candle_core::{Device, Tensor};
use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::moderation::Category;
use crate::telemetry::metrics::Metrics;

const FAMILIES: [&str; 4] = ["bert", "xlm_roberta", "deberta", "deberta_absolute"];
const TOLERANCE: f32 = 1e-4;

/// What transformers says of a text.
#[derive(Deserialize)]
struct Expected {
    text: String,
    windows: Vec<Vec<u32>>,
    logits: Vec<Vec<f32>>,
    /// By its pipeline, where there is one window alone.
    scores: Option<Vec<f64>>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/classifiers").join(name)
}

fn expected(name: &str) -> Vec<Expected> {
    let text = std::fs::read(fixture(name).join("expected.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn watch(timeout: Duration) -> (Watch, Arc<Metrics>) {
    let metrics = Arc::<Metrics>::default();
    (Watch::new("test".into(), timeout, metrics.clone()), metrics)
}

#[track_caller]
fn assert_close(actual: &[Vec<f32>], expected: &[Vec<f32>]) {
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(expected) {
        assert_eq!(actual.len(), expected.len());
        for (a, b) in actual.iter().zip(expected) {
            assert!((a - b).abs() <= TOLERANCE, "{actual:?} is not {expected:?}");
        }
    }
}

#[test]
fn what_a_tokenizer_drops_is_not_known() {
    let model = Model::open(&fixture("bert")).unwrap();
    let tags: String = "sex".chars().filter_map(|c| char::from_u32(0xE_0000 + c as u32)).collect();
    for unread in [tags.as_str(), "\u{200b}", "\u{e000}"] {
        let error = model.windows.cut(0, unread).err().unwrap();
        assert!(matches!(error, ClassifierError::Broken(_)), "{error}");
    }
    assert!(model.windows.cut(0, " \n").unwrap().is_empty(), "nothing is nothing");
}

#[test]
fn each_family_computes_what_transformers_does() {
    for family in FAMILIES {
        let model = Model::open(&fixture(family)).unwrap();
        let all = expected(family);
        assert!(all.iter().any(|it| it.windows.len() > 2), "{family}");
        for it in &all {
            let windows = model.windows.cut(0, &it.text).unwrap();
            let windows: Vec<_> = windows.into_iter().map(|window| window.ids).collect();
            assert_eq!(windows, it.windows, "{family}: {}", it.text);
            for (ids, logits) in it.windows.iter().zip(&it.logits) {
                let alone = model.encoder.logits(&[ids]).unwrap();
                assert_close(&alone, std::slice::from_ref(logits));
            }
            if let Some(scores) = &it.scores {
                let found = model.problem_type.probabilities(&it.logits[0]);
                let mut pairs = found.iter().zip(scores);
                assert!(pairs.all(|(a, b)| (a - b).abs() <= f64::from(TOLERANCE)), "{family}");
            }
        }
        // All at once, the short ones padded.
        let ids: Vec<&[u32]> = all.iter().flat_map(|it| &it.windows).map(Vec::as_slice).collect();
        let logits: Vec<_> = all.iter().flat_map(|it| it.logits.clone()).collect();
        assert!(ids.iter().any(|window| window.len() != ids[0].len()));
        assert_close(&model.encoder.logits(&ids).unwrap(), &logits);
    }
}

#[test]
fn a_list_of_words_is_read_as_a_tokenizer_is() {
    let directory = copy("bert");
    let path = directory.path().join(TOKENIZER_FILE);
    let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let vocabulary = json["model"]["vocab"].as_object().unwrap();
    let mut words: Vec<_> = vocabulary.iter().map(|(word, id)| (id.as_u64(), word)).collect();
    words.sort();
    let list: String = words.iter().map(|(_, word)| format!("{word}\n")).collect();
    std::fs::remove_file(path).unwrap();
    std::fs::write(directory.path().join(VOCABULARY_FILE), &list).unwrap();
    let reason = refusal(directory.path());
    assert!(reason.contains(VOCABULARY_CONFIG_FILE), "{reason}");
    let spelling = directory.path().join(VOCABULARY_CONFIG_FILE);
    std::fs::write(&spelling, r#"{"do_lower_case": true, "unk_token": "[UNK]"}"#).unwrap();
    let model = Model::open(directory.path()).unwrap();
    for it in expected("bert") {
        let windows = model.windows.cut(0, &it.text).unwrap();
        assert!(windows.iter().map(|window| &window.ids).eq(&it.windows), "{}", it.text);
    }
    let cut = |model: &Model| model.windows.cut(0, "The lamp").unwrap()[0].ids.clone();
    let lowered = cut(&model);
    std::fs::write(&spelling, r#"{"do_lower_case": false}"#).unwrap();
    assert_ne!(cut(&Model::open(directory.path()).unwrap()), lowered);
    let list = list.replace("[CLS]\n", "[cls]\n");
    std::fs::write(directory.path().join(VOCABULARY_FILE), list).unwrap();
    let reason = refusal(directory.path());
    assert!(reason.contains("[CLS]"), "{reason}");
}

#[tokio::test]
async fn of_a_long_text_the_highest_score_of_all_windows_counts() {
    for family in FAMILIES {
        let local = Local::open(&fixture(family)).unwrap();
        let all = expected(family);
        let texts: Vec<&str> = all.iter().map(|it| it.text.as_str()).chain([" \n"]).collect();
        let (watch, metrics) = watch(Duration::from_secs(60));
        let found = local.scores(&texts, &watch).await.unwrap();
        assert_eq!(found.last(), Some(&Scores::new()), "what is blank is nothing");
        for (scores, it) in found.iter().zip(&all) {
            let mut wanted = Scores::new();
            for logits in &it.logits {
                let probabilities = local.model.problem_type.probabilities(logits);
                keep_highest(&mut wanted, local.model.labels.scores(&probabilities));
            }
            assert!(scores.keys().eq(wanted.keys()));
            for (category, score) in scores {
                assert!((score - wanted[category]).abs() <= f64::from(TOLERANCE), "{category:?}");
            }
        }
        let last = found.iter().rev().nth(1).unwrap();
        assert!(last[&Category::Harassment] > 0.9, "it stands in the last of the windows");
        let counted = metrics.render();
        assert!(counted.contains("classifications_total{outcome=\"answered\"}"), "{counted}");
    }
}

#[test]
fn windows_overlap_and_none_is_too_long() {
    let model = Model::open(&fixture("bert")).unwrap();
    let text = "the lamp burns low ".repeat(100);
    let windows = model.windows.cut(3, &text).unwrap();
    assert!(windows.iter().all(|window| window.text == 3 && window.ids.len() <= 40));
    for pair in windows.windows(2) {
        let [before, after] = [&pair[0].ids, &pair[1].ids];
        let overlap = 38 / 8;
        assert_eq!(before[before.len() - 1 - overlap..before.len() - 1], after[1..=overlap]);
    }
    // Together they cost no more than one that is full, or stand alone.
    let mut rest = windows;
    rest.extend(model.windows.cut(4, "the lamp").unwrap());
    rest.extend(model.windows.cut(5, "low").unwrap());
    let mut sizes = Vec::new();
    while !rest.is_empty() {
        sizes.push(model.windows.take_batch(&mut rest).len());
    }
    assert_eq!(sizes[0], 2);
    assert!(sizes.len() > 10 && sizes[2..].iter().all(|&size| size == 1), "{sizes:?}");
}

#[test]
fn nobody_writes_special_tokens() {
    for family in FAMILIES {
        let model = Model::open(&fixture(family)).unwrap();
        let window = &model.windows.cut(0, "a [SEP] b [CLS] c [PAD]").unwrap()[0];
        let inner = &window.ids[1..window.ids.len() - 1];
        // Of letters and marks, not of the first few ids, but for what is unknown.
        let [begin, end] = [window.ids[0], *window.ids.last().unwrap()];
        assert!(inner.iter().all(|&id| id != begin && id != end), "{family}: {inner:?}");
        assert!(inner.len() > 9, "{family}: {inner:?}");
    }
}

#[tokio::test]
async fn whoever_waits_too_long_for_a_turn_learns_nothing() {
    let local = Local::open(&fixture("bert")).unwrap();
    let turn = local.turn.clone().acquire_owned().await.unwrap();
    let (impatient, metrics) = watch(Duration::from_millis(50));
    let error = local.scores(&["the lamp"], &impatient).await.unwrap_err();
    assert_eq!(error.kind(), "timeout");
    assert!(metrics.render().contains("outcome=\"timeout\""));
    drop(turn);
    let (patient, _) = watch(Duration::from_secs(60));
    assert_eq!(local.scores(&["the lamp"], &patient).await.unwrap().len(), 1);
}

/// A copy of a fixture, to be spoiled.
fn copy(family: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in [CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE] {
        std::fs::copy(fixture(family).join(file), directory.path().join(file)).unwrap();
    }
    directory
}

/// Why a model cannot be opened, which is what stands in the way of a start.
#[track_caller]
fn refusal(directory: &Path) -> String {
    let error = Model::open(directory).err().expect("it is refused");
    assert_eq!(error.kind(), "model");
    error.to_string()
}

#[test]
fn what_is_missing_or_damaged_is_refused_and_named() {
    for file in [CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE] {
        let directory = copy("deberta");
        let path = directory.path().join(file);
        let bytes = std::fs::read(&path).unwrap();
        for wrong in [&bytes[..bytes.len() / 2], b"", b"{}", b"\x00\x01"] {
            std::fs::write(&path, wrong).unwrap();
            let reason = refusal(directory.path());
            assert!(reason.contains(file), "{reason}");
        }
        std::fs::remove_file(&path).unwrap();
        let reason = refusal(directory.path());
        assert!(reason.contains(file), "{reason}");
    }
    let nowhere = refusal(Path::new("/nonexistent/model"));
    assert!(nowhere.contains("/nonexistent/model"), "{nowhere}");
}

#[test]
fn configurations_of_what_is_not_computed_here_are_refused_with_the_reason() {
    let labels = |names: &[&str]| {
        let labels = names.iter().enumerate().map(|(id, name)| (id.to_string(), (*name).into()));
        Value::Object(labels.collect())
    };
    for (family, key, value, reason) in [
        ("bert", "model_type", "distilbert".into(), "deberta-v2"),
        ("bert", "model_type", Value::Null, "no model's configuration"),
        ("bert", "id2label", labels(&["LABEL_0", "LABEL_1"]), "LABEL_0, LABEL_1"),
        ("bert", "id2label", Value::Null, "id2label"),
        ("bert", "id2label", serde_json::json!({"1": "toxic"}), "from 0"),
        ("bert", "id2label", labels(&["toxic"]), "does not fit config.json"),
        ("bert", "problem_type", "regression".into(), "probabilities"),
        ("bert", "problem_type", "other".into(), "\"other\""),
        ("bert", "position_embedding_type", "relative_key".into(), "absolute"),
        ("bert", "num_attention_heads", 3.into(), "num_attention_heads"),
        ("bert", "num_attention_heads", 0.into(), "num_attention_heads"),
        ("bert", "max_position_embeddings", 8.into(), "too few"),
        ("bert", "hidden_act", "tan".into(), "no model's configuration"),
        ("bert", "hidden_size", 32.into(), "does not fit config.json"),
        ("bert", "num_hidden_layers", 3.into(), "does not fit config.json"),
        ("xlm_roberta", "pad_token_id", 60.into(), "too few"),
        ("deberta", "conv_kernel_size", 3.into(), "conv_kernel_size"),
        ("deberta", "position_buckets", 1_000_000.into(), "position_buckets"),
        ("deberta", "position_buckets", 4.into(), "does not fit config.json"),
    ] {
        let directory = copy(family);
        let path = directory.path().join(CONFIG_FILE);
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config[key] = value.clone();
        if value.is_null() {
            config.as_object_mut().unwrap().remove(key);
        }
        std::fs::write(&path, config.to_string()).unwrap();
        let error = refusal(directory.path());
        assert!(error.contains(reason), "{family} {key} {value}: {error}");
    }
}

#[tokio::test]
async fn a_model_that_computes_no_number_says_nothing() {
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let directory = copy("bert");
        let path = directory.path().join(WEIGHTS_FILE);
        let mut tensors: HashMap<String, Tensor> =
            candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        let bias = tensors.get_mut("classifier.bias").unwrap();
        *bias = Tensor::full(wrong, bias.shape(), &Device::Cpu).unwrap();
        candle_core::safetensors::save(&tensors, &path).unwrap();
        let local = Local::open(directory.path()).unwrap();
        let (watch, metrics) = watch(Duration::from_secs(60));
        let error = local.scores(&["the lamp"], &watch).await.unwrap_err();
        assert_eq!(error.kind(), "broken", "{wrong}");
        assert!(metrics.render().contains("outcome=\"broken\""));
    }
}
