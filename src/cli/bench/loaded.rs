//! A model with its tokenizer, loaded to be measured, and what every result says of it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::Session;
use super::super::output::note;
use super::chosen::{ModelArgs, model_name, model_path, weights_word};
use crate::engine::{EngineOptions, LoadedModel};
use crate::model::Model;
use crate::service;
use crate::tokenizer::Tokenizer;

/// A model about to be measured.
pub(super) struct Loaded {
    pub(super) model: Arc<Model>,
    pub(super) tokenizer: Arc<Tokenizer>,
    /// The configured engine.
    pub(super) engine: EngineOptions,
    name: String,
    weights: String,
    threads: NonZeroUsize,
}

impl Loaded {
    /// Loads what the settings and `args` say.
    ///
    /// # Errors
    /// There is no such model, or it cannot be loaded.
    pub(super) fn load(session: &Session, args: &ModelArgs) -> anyhow::Result<Self> {
        let session = args.session(session);
        let path = model_path(&session)?;
        note("loading the model …");
        let options = service::local_options(&session.config, path);
        let weights = weights_word(options.load.weight_type, &options.model_path)?;
        let LoadedModel { model, tokenizer } =
            LoadedModel::load(&options.model_path, &options.load)?;
        Ok(Self {
            model,
            tokenizer,
            engine: options.engine,
            name: model_name(&session),
            weights,
            threads: session.config.engine.num_threads(),
        })
    }

    /// The beginning of a text as ids, with what the model wants before it.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let text = self.tokenizer.encode_start(text);
        self.tokenizer.bos_id().into_iter().chain(text).collect()
    }

    /// The results of `bench`, with what was measured before them.
    pub(super) fn report(&self, bench: &str, results: Value) -> Value {
        let mut report = Map::new();
        let mut put = |key: &str, value: Value| report.insert(key.to_owned(), value);
        put("bench", json!(bench));
        put("version", json!(env!("CARGO_PKG_VERSION")));
        put("model", json!(self.name));
        put("fingerprint", json!(self.model.fingerprint()));
        put("weights", json!(self.weights));
        put("threads", json!(self.threads));
        if let Value::Object(results) = results {
            report.extend(results);
        }
        Value::Object(report)
    }

    /// The same in a line for people.
    pub(super) fn heading(&self) -> String {
        let Self { name, weights, threads, .. } = self;
        format!("{name}, weights {weights}, threads {threads}")
    }
}
