//! One step's batch, laid out: which rows there are, where their keys and values go,
//! and what each row attends to. Computed once, used by every layer.
//!
//! Invariant: a row attends to positions of its own sequence only, never later than
//! its own and never before its window.

use candle_core::{Device, Result, Tensor};

use super::super::{BatchSequence, LogitRows, ModelConfig};
use super::kv_cache::{BlockSpan, SlotRun};

/// A step's layout.
pub(super) struct BatchPlan {
    /// Token ids of all rows.
    pub(super) tokens: Vec<u32>,
    /// Position of each row.
    pub(super) positions: Vec<usize>,
    /// Where the rows' keys and values are stored.
    pub(super) slot_runs: Vec<SlotRun>,
    /// One entry a sequence.
    pub(super) attention: Vec<SequencePlan>,
    /// Rows that get logits, in batch order.
    pub(super) logit_rows: Vec<u32>,
}

/// What one sequence's rows attend to.
pub(super) struct SequencePlan {
    /// Blocks that hold the keys of all its tiles.
    pub(super) blocks: BlockSpan,
    /// Its rows, cut so that no score matrix gets large.
    pub(super) tiles: Vec<Tile>,
}

/// Consecutive rows of one sequence that attend to one range of keys.
pub(super) struct Tile {
    /// First row of the step, and how many.
    pub(super) row: usize,
    pub(super) num_rows: usize,
    /// First key, counted within the sequence's `blocks`, and how many.
    pub(super) key: usize,
    pub(super) num_keys: usize,
    /// `(num_rows, num_keys)` f32, 0 or −∞; `None` where every row sees every key.
    pub(super) mask: Option<Tensor>,
}

/// Rows per tile: bounds the scores to `num_heads × 128 × context` floats, and skips
/// the keys after a tile's last row.
const TILE_ROWS: usize = 128;

impl BatchPlan {
    pub(super) fn new(
        batch: &[BatchSequence<'_>],
        config: &ModelConfig,
        block_size: usize,
        device: &Device,
    ) -> Result<Self> {
        let num_rows = batch.iter().map(|s| s.tokens.len()).sum();
        let mut plan = Self {
            tokens: Vec::with_capacity(num_rows),
            positions: Vec::with_capacity(num_rows),
            slot_runs: Vec::new(),
            attention: Vec::with_capacity(batch.len()),
            logit_rows: Vec::new(),
        };
        for sequence in batch {
            plan.push(sequence, config, block_size, device)?;
        }
        Ok(plan)
    }

    fn push(
        &mut self,
        sequence: &BatchSequence<'_>,
        config: &ModelConfig,
        block_size: usize,
        device: &Device,
    ) -> Result<()> {
        let (row, len) = (self.tokens.len(), sequence.tokens.len());
        let end = sequence.position + len;
        self.tokens.extend_from_slice(sequence.tokens);
        self.positions.extend(sequence.position..end);
        push_slot_runs(&mut self.slot_runs, row, sequence, block_size);
        match sequence.logits {
            LogitRows::None => {}
            LogitRows::Last => self.logit_rows.push((row + len - 1) as u32),
            LogitRows::All => self.logit_rows.extend((row..row + len).map(|r| r as u32)),
        }

        let window = config.sliding_window.unwrap_or(usize::MAX);
        // The first key that any row of this step sees: earlier blocks are not read.
        let first_block = window_start(sequence.position, window) / block_size;
        let last_block = (end - 1) / block_size;
        let blocks = BlockSpan::new(&sequence.block_table[first_block..=last_block], device)?;
        let tiles = (0..len)
            .step_by(TILE_ROWS)
            .map(|offset| {
                let num_rows = TILE_ROWS.min(len - offset);
                let position = sequence.position + offset;
                let first_key = window_start(position, window);
                let num_keys = position + num_rows - first_key;
                let mask = mask(position, num_rows, first_key, num_keys, window, device)?;
                let key = first_key - first_block * block_size;
                Ok(Tile { row: row + offset, num_rows, key, num_keys, mask })
            })
            .collect::<Result<_>>()?;
        self.attention.push(SequencePlan { blocks, tiles });
        Ok(())
    }
}

/// The first position that a row at `position` attends to.
fn window_start(position: usize, window: usize) -> usize {
    (position + 1).saturating_sub(window)
}

fn push_slot_runs(
    runs: &mut Vec<SlotRun>,
    first_row: usize,
    sequence: &BatchSequence<'_>,
    block_size: usize,
) {
    let mut done = 0;
    while done < sequence.tokens.len() {
        let position = sequence.position + done;
        let offset = position % block_size;
        let block = sequence.block_table[position / block_size] as usize;
        let len = (block_size - offset).min(sequence.tokens.len() - done);
        let (row, slot) = (first_row + done, block * block_size + offset);
        match runs.last_mut() {
            Some(run) if run.row + run.len == row && run.slot + run.len == slot => run.len += len,
            _ => runs.push(SlotRun { row, slot, len }),
        }
        done += len;
    }
}

fn mask(
    position: usize,
    num_rows: usize,
    first_key: usize,
    num_keys: usize,
    window: usize,
    device: &Device,
) -> Result<Option<Tensor>> {
    if num_rows == 1 {
        return Ok(None);
    }
    let mut mask = vec![f32::NEG_INFINITY; num_rows * num_keys];
    for (row, keys) in mask.chunks_exact_mut(num_keys).enumerate() {
        let position = position + row;
        keys[window_start(position, window) - first_key..=position - first_key].fill(0.0);
    }
    Tensor::from_vec(mask, (num_rows, num_keys), device).map(Some)
}
