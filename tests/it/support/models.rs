//! The real files that tests run on, pulled once and kept between runs.
//!
//! They lie in Cargo's directory for test data (`target/tmp/models`), or where
//! `DRAMATIS_TEST_MODELS` says, if several checkouts shall share them.

use std::path::PathBuf;

use dramatis::config::Environment;
use dramatis::fetch::{Artifact, FetchOptions, Fetcher, known_model};

/// The small real model (SmolLM2-135M-Instruct, Q4_1, GGUF).
pub(crate) fn small_model() -> PathBuf {
    let known = known_model("smollm2-135m-instruct").expect("the catalogue has it");
    pulled(&known.artifact, &known.file)
}

/// The sentencepiece tokenizer of Mistral-7B-v0.1.
pub(crate) fn mistral_tokenizer_model() -> PathBuf {
    let sum = "dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055";
    let source = "pypi:mistral-common==1.8.5/mistral_common/data/tokenizer.model.v1";
    let artifact = Artifact {
        sha256: Some(sum.parse().expect("64 digits")),
        size_bytes: Some(493_443),
        wheel_bytes: Some(6_515_140),
        ..Artifact::unpinned("mistral-tokenizer", source.parse().expect("a source"))
    };
    pulled(&artifact, "tokenizer.model.v1")
}

/// Where these files are kept.
pub(crate) fn models_dir() -> PathBuf {
    let shared = Environment::from_process().test_models();
    shared.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("models"))
}

fn pulled(artifact: &Artifact, file: &str) -> PathBuf {
    let destination = models_dir().join(&artifact.name).join(file);
    let fetched = Fetcher::new(FetchOptions::default()).fetch(artifact, &destination, &());
    fetched.unwrap_or_else(|error| panic!("tests run on real files: {error}")).path
}
