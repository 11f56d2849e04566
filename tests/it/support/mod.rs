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

/// A committed fixture.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A committed JSON fixture, parsed.
pub(crate) fn json_fixture(name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}
