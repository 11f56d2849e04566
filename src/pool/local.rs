//! A worker on this machine: a model on one device, behind an engine's thread.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{PoolError, PoolMemory};
use crate::engine::{EngineHandle, EngineOptions, EngineStats, LoadedModel};
use crate::model::LoadOptions;
use crate::tokenizer::Tokenizer;

/// What a worker on this machine runs.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// The model's name, for receipts.
    pub model_name: String,
    /// The model's file or directory.
    pub model_path: PathBuf,
    /// How it is loaded, and on which device.
    pub load: LoadOptions,
    /// How large its engine is.
    pub engine: EngineOptions,
}

pub(super) struct LocalWorker {
    pub(super) engine: EngineHandle,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) model_fingerprint: String,
    pub(super) backend_name: String,
    pub(super) memory: PoolMemory,
    pub(super) capacity: usize,
    /// When it last did a step, by the number of steps.
    moved: Mutex<(u64, Instant)>,
}

impl LocalWorker {
    /// Loads and starts; blocks meanwhile.
    pub(super) fn start(options: &LocalOptions) -> Result<Self, PoolError> {
        #[cfg(test)]
        if let Some(loaded) = super::tests::loaded(&options.model_path) {
            return Self::serve(loaded, options);
        }
        Self::serve(LoadedModel::load(&options.model_path, &options.load)?, options)
    }

    fn serve(loaded: LoadedModel, options: &LocalOptions) -> Result<Self, PoolError> {
        let LoadedModel { model, tokenizer } = loaded;
        let model_fingerprint = model.fingerprint().to_owned();
        let backend_name = model.backend_name();
        let weight_bytes = model.weight_bytes();
        let block_bytes = model.kv_block_bytes(options.engine.block_size);
        let engine = EngineHandle::spawn(model, tokenizer.clone(), &options.engine)?;
        let kv_cache_bytes = engine.stats().num_blocks * block_bytes;
        Ok(Self {
            engine,
            memory: PoolMemory { weight_bytes, kv_cache_bytes },
            tokenizer,
            model_fingerprint,
            backend_name,
            capacity: options.engine.max_batch_sequences,
            moved: Mutex::new((0, Instant::now())),
        })
    }

    /// Whether it still works: its thread lives, and moves while it has work.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check(&self, name: &Arc<str>, stall: Duration) -> Result<(), PoolError> {
        self.engine.check_alive()?;
        let stats = self.engine.stats();
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let is_idle = stats.num_running + stats.num_waiting == 0;
        if is_idle || stats.totals.num_steps != moved.0 {
            *moved = (stats.totals.num_steps, Instant::now());
        }
        let still = moved.1.elapsed();
        if still > stall {
            return Err(PoolError::Hung { worker: name.clone(), seconds: still.as_secs() });
        }
        Ok(())
    }

    pub(super) fn stats(&self) -> EngineStats {
        self.engine.stats()
    }
}
