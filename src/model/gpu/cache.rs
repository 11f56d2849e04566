//! What a GPU keeps from step to step: keys and values, room for a step's rows, and what
//! was recorded.

use std::collections::HashMap;

use super::ModelConfig;
use crate::gpu::{Buffer, Coming, Gpu, GpuError, KvShape, Recorded, input_bytes};

/// Keys and values on a GPU, with what steps are computed in.
#[derive(Debug)]
pub(in super::super) struct GpuCache {
    pub(super) kv: KvShape,
    pub(super) blocks: Buffer,
    /// How a block's bytes are to be read, and what they come of.
    pub(in super::super) layout: String,
    pub(super) workspace: Option<Workspace>,
    /// Recorded steps, by their buckets.
    pub(super) recordings: HashMap<(usize, usize), Recorded>,
}

impl GpuCache {
    /// A block's bytes.
    pub(in super::super) fn read_block(&self, block: u32, out: &mut [u8]) -> Result<(), GpuError> {
        self.blocks.download(block as usize * self.kv.block_bytes(), out)
    }

    /// Has a block's bytes brought, as they are now.
    pub(in super::super) fn send_for_block(&self, block: u32) -> Result<Coming, GpuError> {
        let num_bytes = self.kv.block_bytes();
        self.blocks.send_for(block as usize * num_bytes, num_bytes)
    }

    /// Overwrites a block with such bytes.
    pub(in super::super) fn write_block(
        &mut self,
        block: u32,
        bytes: &[u8],
    ) -> Result<(), GpuError> {
        self.blocks.upload(block as usize * self.kv.block_bytes(), bytes)
    }
}

/// How much there is room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Rows of a step.
    pub(super) rows: usize,
    /// Rows of logits.
    pub(super) logits: usize,
    /// Words that describe a step.
    pub(super) words: usize,
    /// What pieces of attention leave, of how many positions each.
    pub(super) piece_positions: usize,
}

impl Room {
    fn with(&self, other: &Self, choose: impl Fn(usize, usize) -> usize) -> Self {
        Self {
            rows: choose(self.rows, other.rows),
            logits: choose(self.logits, other.logits),
            words: choose(self.words, other.words),
            piece_positions: choose(self.piece_positions, other.piece_positions),
        }
    }

    pub(super) fn holds(&self, needed: &Self) -> bool {
        let joined = self.with(needed, usize::max);
        self.rows == joined.rows
            && self.logits == joined.logits
            && self.words == joined.words
            && self.piece_positions == joined.piece_positions
    }

    /// More than was needed, so that it does not grow step by step.
    pub(super) fn rounded(&self) -> Self {
        self.with(self, |needed, _| needed.next_power_of_two())
    }

    pub(super) fn grown_to(&self, needed: &Self) -> Self {
        self.with(needed, |there, needed| match needed <= there {
            true => there,
            false => needed.next_power_of_two(),
        })
    }
}

/// What a step's rows are computed in.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) room: Room,
    /// The step's description.
    pub(super) words: Buffer,
    /// The residual stream, f32.
    pub(super) stream: Buffer,
    /// Operands of the hidden size.
    pub(super) normed: Buffer,
    /// Queries, keys and values, f32.
    pub(super) heads: Buffer,
    pub(super) rotations: Buffer,
    pub(super) queries: Buffer,
    /// Operands that attention gives.
    pub(super) attended: Buffer,
    pub(super) partial: Buffer,
    /// Operands of the feed-forward's width.
    pub(super) gated: Buffer,
    pub(super) logits: Buffer,
}

impl Workspace {
    pub(super) fn new(gpu: &Gpu, config: &ModelConfig, room: Room) -> Result<Self, GpuError> {
        let zeroed = |num_bytes: usize| Buffer::zeroed(gpu.device(), num_bytes);
        let (heads, rows) = (gpu.heads(), room.rows);
        let hidden = config.hidden_size;
        // Rows that want logits are normed once more, into the same operands.
        let normed_rows = rows.max(room.logits);
        Ok(Self {
            words: zeroed(room.words * 4)?,
            stream: zeroed(rows * hidden * 4)?,
            normed: zeroed(input_bytes(normed_rows, hidden))?,
            heads: zeroed(rows * heads.width() * 4)?,
            rotations: zeroed(rows * heads.head_dim * 4)?,
            queries: zeroed(rows * heads.num_heads * heads.padded_head() * 2)?,
            attended: zeroed(input_bytes(rows, heads.num_heads * heads.head_dim))?,
            partial: zeroed(gpu.partial_bytes(room.piece_positions, 1))?,
            gated: zeroed(input_bytes(rows, config.intermediate_size))?,
            logits: zeroed(room.logits * config.vocab_size * 4)?,
            room,
        })
    }
}
