//! One worker: a model on a device of this machine, behind an engine's thread.

use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::{EngineHandle, EngineOptions, LoadedModel};
use crate::model::LoadOptions;
use crate::tokenizer::Tokenizer;

use super::{PoolError, PoolMemory};

/// What a worker runs.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The model's name, for receipts.
    pub model_name: String,
    /// The model's file or directory.
    pub model_path: PathBuf,
    /// How it is loaded.
    pub load: LoadOptions,
    /// How large its engine is.
    pub engine: EngineOptions,
}

pub(super) struct Worker {
    pub(super) engine: EngineHandle,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) model_name: String,
    pub(super) model_fingerprint: String,
    pub(super) backend_name: String,
    pub(super) context_tokens: usize,
    pub(super) memory: PoolMemory,
}

impl Worker {
    /// Loads and starts; blocks meanwhile.
    pub(super) fn start(options: &WorkerOptions) -> Result<Self, PoolError> {
        let LoadedModel { model, tokenizer } =
            LoadedModel::load(&options.model_path, &options.load)?;
        let (model_fingerprint, backend_name) =
            (model.fingerprint().to_owned(), model.backend_name());
        let num_blocks = options.engine.num_blocks(&model)?;
        let memory = PoolMemory {
            weight_bytes: model.weight_bytes(),
            kv_cache_bytes: num_blocks * model.kv_block_bytes(options.engine.block_size),
        };
        let engine = EngineHandle::spawn(model, tokenizer.clone(), &options.engine)?;
        Ok(Self {
            context_tokens: engine.context_tokens(),
            memory,
            engine,
            tokenizer,
            model_name: options.model_name.clone(),
            model_fingerprint,
            backend_name,
        })
    }
}
