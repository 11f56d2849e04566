//! A schedule to logits: the only file of the engine that sees the model run.

use std::sync::Arc;

use super::scheduler::{ScheduledSequence, Scheduler};
use crate::model::{BatchSequence, KvCache, LogitRows, Logits, Model, ModelError};

/// The model and the keys and values of all sequences.
#[derive(Debug)]
pub(super) struct ModelRunner {
    model: Arc<Model>,
    kv: KvCache,
}

impl ModelRunner {
    pub(super) fn new(
        model: Arc<Model>,
        num_blocks: usize,
        block_size: usize,
    ) -> Result<Self, ModelError> {
        let kv = model.kv_cache(num_blocks, block_size)?;
        Ok(Self { model, kv })
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
