//! What the tests share: servers, files that are fetched, models that are made.

pub(crate) mod adapters;
pub(crate) mod answering;
pub(crate) mod classes;
pub(crate) mod discord;
pub(crate) mod hub;
pub(crate) mod models;
pub(crate) mod postgres;
pub(crate) mod script;
pub(crate) mod sentencepiece;
pub(crate) mod server;
pub(crate) mod tiny;
pub(crate) mod wheel;

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

/// A committed fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A tiny classifier of `fixtures/classifiers.py`, copied to be changed.
pub(crate) fn classifier_copy(family: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let from = fixture("classifiers").join(family).join(file);
        std::fs::copy(from, directory.path().join(file)).unwrap();
    }
    directory
}

/// Makes a classifier whose outputs are no numbers.
pub(crate) fn spoil_classifier(directory: &Path) {
    let path = directory.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let bias = tensors.get_mut("classifier.bias").unwrap();
    *bias = Tensor::full(f32::NAN, bias.shape(), &Device::Cpu).unwrap();
    candle_core::safetensors::save(&tensors, &path).unwrap();
}

/// A committed JSON fixture, parsed.
pub(crate) fn json_fixture(name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}
