//! The model that a pool's workers share, as whoever makes prompts needs it.

use std::fmt;
use std::sync::Arc;

use crate::tokenizer::Tokenizer;

/// A model as prompts are made for it. What is generated with one of these runs on
/// workers of the same model, or not at all.
#[derive(Clone)]
pub struct PoolModel {
    /// By the name that people chose.
    pub name: String,
    /// By what is in its files; for a model that is only elsewhere, by its name there.
    pub fingerprint: String,
    /// How many tokens prompt and reply may have together, on every worker.
    pub context_tokens: usize,
    /// What its prompts are counted with.
    pub tokenizer: Arc<Tokenizer>,
    /// Counts reloads: models of two epochs are not the same.
    pub(super) epoch: u64,
}

impl fmt::Debug for PoolModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolModel")
            .field("name", &self.name)
            .field("fingerprint", &self.fingerprint)
            .field("context_tokens", &self.context_tokens)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}
