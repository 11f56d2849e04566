//! A model with its tokenizer, loaded to be measured.

use std::sync::Arc;

use super::super::Session;
use super::super::output::note;
use super::chosen::{ModelArgs, model_path};
use super::subject::Subject;
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
    pub(super) subject: Subject,
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
        let options = service::local_options(&session.config, path)?;
        let LoadedModel { model, tokenizer } =
            LoadedModel::load(&options.model_path, &options.load)?;
        let (fingerprint, backend) = (model.fingerprint(), model.backend_name());
        let subject = Subject::of_session(&session, &options, fingerprint, backend)?;
        Ok(Self { model, tokenizer, engine: options.engine, subject })
    }

    /// The beginning of a text as ids, with what the model wants before it.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let text = self.tokenizer.encode_start(text);
        self.tokenizer.bos_id().into_iter().chain(text).collect()
    }
}
