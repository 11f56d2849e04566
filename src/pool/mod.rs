//! Workers behind one door: what generates, and which model that is.
//!
//! Today one worker on this machine: an engine that owns its device. Requests and
//! streams are the engine's own; a caller need not know where they are served.

mod error;
mod worker;

use std::sync::Arc;

use crate::engine::{EngineStats, GenerationRequest, GenerationStream};
use crate::tokenizer::Tokenizer;

pub use error::PoolError;
pub use worker::WorkerOptions;

use worker::Worker;

/// The workers that write replies. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    worker: Arc<Worker>,
}

/// What the workers take of this machine's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolMemory {
    /// The model's matrices; `None` where they lie elsewhere.
    pub weight_bytes: Option<usize>,
    /// Keys and values, once all blocks are used.
    pub kv_cache_bytes: usize,
}

impl Pool {
    /// Loads the model and starts its worker. Blocks for as long as loading takes.
    ///
    /// # Errors
    /// The model's files, its tokenizer or the engine's options are refused.
    pub fn start(options: &WorkerOptions) -> Result<Self, PoolError> {
        Ok(Self { worker: Arc::new(Worker::start(options)?) })
    }

    /// Begins a reply.
    ///
    /// # Errors
    /// The request can never run, or too many wait already.
    pub fn generate(&self, request: GenerationRequest) -> Result<GenerationStream, PoolError> {
        Ok(self.worker.engine.submit(request)?)
    }

    /// Drops what was cached for an owner, from memory and disk.
    ///
    /// # Errors
    /// The disk refuses, or the worker is gone; what was cached may still be there.
    pub async fn forget_owner(&self, owner: u64) -> Result<(), PoolError> {
        Ok(self.worker.engine.forget_owner(owner).await?)
    }

    /// Drops all that was cached under a salt, from memory and disk.
    ///
    /// # Errors
    /// As [`Pool::forget_owner`].
    pub async fn forget_salt(&self, salt: u64) -> Result<(), PoolError> {
        Ok(self.worker.engine.forget_salt(salt).await?)
    }

    /// The model, by the name that people chose.
    pub fn model_name(&self) -> &str {
        &self.worker.model_name
    }

    /// The model, by what is in its files.
    pub fn model_fingerprint(&self) -> &str {
        &self.worker.model_fingerprint
    }

    /// What computes the model, for people.
    pub fn backend_name(&self) -> &str {
        &self.worker.backend_name
    }

    /// How many tokens prompt and reply may have together.
    pub fn context_tokens(&self) -> usize {
        self.worker.context_tokens
    }

    /// What the workers hold and have done, as of their last steps.
    pub fn stats(&self) -> EngineStats {
        self.worker.engine.stats()
    }

    /// What the workers take of memory.
    pub fn memory(&self) -> PoolMemory {
        self.worker.memory
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.worker.tokenizer
    }
}
