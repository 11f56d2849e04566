//! A schedule to logits: the only file of the engine that sees a tensor.

use std::sync::Arc;

use super::scheduler::{ScheduledSequence, Scheduler};
use crate::model::{BatchSequence, KvCache, LogitRows, Model, ModelError};

/// The model and the keys and values of all sequences.
#[derive(Debug)]
pub(super) struct ModelRunner {
    model: Arc<Model>,
    kv: KvCache,
}

/// One row of logits for each scheduled sequence that samples, in batch order.
#[derive(Debug, Default)]
pub(super) struct Logits {
    values: Vec<f32>,
    vocab_size: usize,
}

impl Logits {
    /// The rows, each `vocab_size` long.
    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.vocab_size.max(1))
    }
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

    /// Computes the scheduled tokens. Their keys and values are then in the cache; on
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
        let logits = self.model.forward(&batch, &mut self.kv)?;
        let values = logits.flatten_all()?.to_vec1()?;
        Ok(Logits { values, vocab_size: self.model.config().vocab_size })
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
