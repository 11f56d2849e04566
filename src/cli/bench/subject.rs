//! What is measured: which model, in which form and by what. Every result says it alike.

use std::num::NonZeroUsize;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::Session;
use crate::model::inspect;
use crate::pool::LocalOptions;

/// What is measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Subject {
    /// The model's name, or its file's.
    pub(super) model: String,
    /// The model, by what is in its files.
    pub(super) fingerprint: String,
    /// The form in which the weights are computed with, in a word.
    pub(super) weights: String,
    /// What computes.
    pub(super) backend: String,
    pub(super) threads: NonZeroUsize,
}

impl Subject {
    /// The session's model, as `options` load it; the loaded one tells the last two.
    ///
    /// # Errors
    /// The model's file cannot be read.
    pub(super) fn of_session(
        session: &Session,
        options: &LocalOptions,
        fingerprint: &str,
        backend: String,
    ) -> anyhow::Result<Self> {
        let weights = match options.load.weight_type {
            Some(weight_type) => format!("{weight_type:?}"),
            None => inspect(&options.model_path)?.quantization,
        };
        Ok(Self {
            model: model_name(&session.config.model.name),
            fingerprint: fingerprint.to_owned(),
            weights,
            backend,
            threads: session.config.engine.num_threads(),
        })
    }

    /// The results of `bench`, with what was measured before them.
    pub(super) fn report(&self, bench: &str, results: Value) -> Value {
        let head = json!({ "bench": bench, "version": env!("CARGO_PKG_VERSION") });
        let parts = [head, json!(self), results];
        let entries = parts.into_iter().flat_map(|part| match part {
            Value::Object(entries) => entries,
            _ => Map::new(),
        });
        Value::Object(entries.collect())
    }

    /// The same in a line for people.
    pub(super) fn heading(&self) -> String {
        let Self { model, weights, threads, backend, .. } = self;
        format!("{model}, weights {weights}, threads {threads} ({backend})")
    }
}

/// A name stays; of a path, the file's.
fn model_name(name: &str) -> String {
    let file = Path::new(name).file_name().map(|file| file.to_string_lossy().into_owned());
    file.unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_follow_what_was_measured() {
        let subject = Subject {
            model: model_name("models/small.gguf"),
            fingerprint: "f00".into(),
            weights: "Q8_0".into(),
            backend: "CPU, plain".into(),
            threads: NonZeroUsize::MIN,
        };
        let report = subject.report("load", json!({ "load_s": 1.5 }));
        let keys: Vec<_> = report.as_object().unwrap().keys().collect();
        let subject = ["bench", "version", "model", "fingerprint", "weights", "backend", "threads"];
        assert_eq!(keys, [&subject[..], &["load_s"]].concat());
        assert_eq!((&report["model"], &report["threads"]), (&"small.gguf".into(), &1.into()));
    }
}
