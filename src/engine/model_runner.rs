//! A schedule to logits: the only file of the engine that sees the model run.

use std::sync::Arc;

use super::EngineOptions;
use super::block_manager::BlockId;
use super::scheduler::{ScheduledSequence, Scheduler};
use crate::model::{BatchSequence, ComingBlock, KvCache, LogitRows, Logits, Model, ModelError};

/// The model and the keys and values of all sequences.
#[derive(Debug)]
pub(super) struct ModelRunner {
    model: Arc<Model>,
    kv: KvCache,
    /// How many sequences and tokens of a batch the device has memory for.
    #[cfg(test)]
    pub(super) room: Option<(usize, usize)>,
}

impl ModelRunner {
    pub(super) fn new(
        model: Arc<Model>,
        num_blocks: usize,
        options: &EngineOptions,
    ) -> Result<Self, ModelError> {
        let EngineOptions { block_size, max_batch_tokens, max_batch_sequences, .. } = *options;
        let mut kv = model.kv_cache(num_blocks, block_size)?;
        let num_bytes = num_blocks * kv.block_bytes();
        model.prepare(&mut kv, max_batch_tokens, max_batch_sequences).map_err(
            |error| match error.is_out_of_memory() {
                true => ModelError::KvCacheTooLarge { num_bytes },
                false => error,
            },
        )?;
        Ok(Self {
            model,
            kv,
            #[cfg(test)]
            room: None,
        })
    }

    /// What keys and values are made by and how they are laid out: bytes of one identity
    /// mean nothing under another.
    pub(super) fn kv_identity(&self) -> String {
        let (fingerprint, block_size) = (self.model.fingerprint(), self.kv.block_size());
        let (layout, block_bytes) = (self.kv.layout(), self.kv.block_bytes());
        format!("{fingerprint} {layout} {block_size} tokens {block_bytes} bytes")
    }

    pub(super) fn num_blocks(&self) -> usize {
        self.kv.num_blocks()
    }

    pub(super) fn block_bytes(&self) -> usize {
        self.kv.block_bytes()
    }

    /// Begins to copy a block's keys and values, as they are now.
    pub(super) fn send_for_block(&self, block: BlockId) -> Result<ComingBlock, ModelError> {
        self.kv.send_for_block(block)
    }

    /// Overwrites a block's keys and values with such a copy.
    pub(super) fn write_block(&mut self, block: BlockId, bytes: &[u8]) -> Result<(), ModelError> {
        self.kv.write_block(block, bytes)
    }

    /// Calls `unit` with every number below `num_units`, on the threads that compute.
    pub(super) fn share(&self, num_units: usize, unit: impl Fn(usize) + Sync) {
        self.model.share(num_units, unit);
    }

    /// Computes the scheduled tokens; one row of logits for each sequence that samples,
    /// in batch order. Their keys and values are then in the cache; on
    /// an error they are undefined, and nothing else is.
    pub(super) fn run(
        &mut self,
        batch: &[ScheduledSequence],
        scheduler: &Scheduler,
    ) -> Result<Logits, ModelError> {
        if batch.is_empty() {
            return Ok(Logits::default());
        }
        #[cfg(test)]
        if let Some((num_sequences, num_tokens)) = self.room
            && (batch.len() > num_sequences
                || batch.iter().map(|item| item.num_tokens).sum::<usize>() > num_tokens)
        {
            let words = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
            return Err(candle_core::Error::msg(words).into());
        }
        let batch: Vec<_> = batch.iter().map(|item| batch_sequence(item, scheduler)).collect();
        self.model.forward(&batch, &mut self.kv)
    }
}

fn batch_sequence<'a>(item: &ScheduledSequence, scheduler: &'a Scheduler) -> BatchSequence<'a> {
    let sequence = scheduler.running(item.id).expect("a scheduled sequence runs");
    let position = sequence.num_computed_tokens;
    BatchSequence {
        tokens: &sequence.tokens[position..position + item.num_tokens],
        position,
        block_table: sequence.block_table.blocks(),
        logits: if item.samples { LogitRows::Last } else { LogitRows::None },
    }
}
