//! Keys and values of past positions, in blocks that callers hand out.
//!
//! It does not know who owns a block: writing two sequences into one block is the
//! caller's bug. Layout of each layer: `(num_blocks, block_size, num_kv_heads,
//! head_dim)`, f32, keys already rotated.

use candle_core::{DType, Device, Result, Tensor};

use super::{ModelConfig, ModelError};

/// The KV tensors of one model on one device. Made by `Model::kv_cache`.
#[derive(Debug)]
pub struct KvCache {
    pub(super) layers: Vec<LayerCache>,
    num_blocks: usize,
    block_size: usize,
}

/// Keys and values of one layer.
#[derive(Debug)]
pub(super) struct LayerCache {
    keys: Tensor,
    values: Tensor,
}

/// Consecutive rows of a step that land in consecutive slots of the cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SlotRun {
    /// First row of the step.
    pub(super) row: usize,
    /// First slot: `block * block_size + offset`.
    pub(super) slot: usize,
    /// How many.
    pub(super) len: usize,
}

/// Which blocks to read, in order of position.
#[derive(Debug)]
pub(super) enum BlockSpan {
    /// Neighbours in memory: read in place.
    Run { first: usize, len: usize },
    /// `(len)` block ids, u32: gathered into one tensor.
    Scattered(Tensor),
}

impl BlockSpan {
    pub(super) fn new(blocks: &[u32], device: &Device) -> Result<Self> {
        if blocks.is_sorted_by(|a, b| a + 1 == *b) {
            return Ok(Self::Run { first: blocks[0] as usize, len: blocks.len() });
        }
        Ok(Self::Scattered(Tensor::new(blocks, device)?))
    }

    /// The blocks' rows as one `(positions, num_kv_heads, head_dim)` tensor.
    fn read(&self, cache: &Tensor) -> Result<Tensor> {
        match self {
            Self::Run { first, len } => cache.narrow(0, *first, *len)?,
            Self::Scattered(ids) => cache.index_select(ids, 0)?,
        }
        .flatten(0, 1)
    }
}

impl KvCache {
    pub(super) fn new(
        config: &ModelConfig,
        num_blocks: usize,
        block_size: usize,
        device: &Device,
    ) -> std::result::Result<Self, ModelError> {
        if num_blocks == 0 || block_size == 0 || u32::try_from(num_blocks).is_err() {
            return Err(ModelError::Config(format!(
                "a KV cache of {num_blocks} blocks of {block_size} positions"
            )));
        }
        let shape = (num_blocks, block_size, config.num_kv_heads, config.head_dim);
        let layers = (0..config.num_layers)
            .map(|_| {
                Ok(LayerCache {
                    keys: Tensor::zeros(shape, DType::F32, device)?,
                    values: Tensor::zeros(shape, DType::F32, device)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { layers, num_blocks, block_size })
    }

    /// How many blocks there are; ids run from 0.
    pub fn num_blocks(&self) -> usize {
        self.num_blocks
    }

    /// Positions per block.
    pub fn block_size(&self) -> usize {
        self.block_size
    }
}

impl LayerCache {
    /// Stores `(rows, num_kv_heads, head_dim)` keys and values of a step.
    pub(super) fn write(&self, keys: &Tensor, values: &Tensor, runs: &[SlotRun]) -> Result<()> {
        let (key_slots, value_slots) = (self.keys.flatten(0, 1)?, self.values.flatten(0, 1)?);
        for run in runs {
            key_slots.slice_set(&keys.narrow(0, run.row, run.len)?, 0, run.slot)?;
            value_slots.slice_set(&values.narrow(0, run.row, run.len)?, 0, run.slot)?;
        }
        Ok(())
    }

    /// Keys and values of `blocks`, each `(positions, num_kv_heads, head_dim)`.
    pub(super) fn read(&self, blocks: &BlockSpan) -> Result<(Tensor, Tensor)> {
        Ok((blocks.read(&self.keys)?, blocks.read(&self.values)?))
    }
}
