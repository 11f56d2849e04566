//! Keys and values of past positions as tensors. Layout of each layer: `(num_blocks,
//! block_size, num_kv_heads, head_dim)`, f32, keys already rotated.

use candle_core::{DType, Device, Result, Tensor};

use super::super::ModelConfig;

/// Keys and values of one layer.
#[derive(Debug)]
pub(in super::super) struct LayerCache {
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

impl LayerCache {
    /// Zeroed tensors for every layer.
    pub(in super::super) fn layers(
        config: &ModelConfig,
        num_blocks: usize,
        block_size: usize,
        device: &Device,
    ) -> Result<Vec<Self>> {
        let shape = (num_blocks, block_size, config.num_kv_heads, config.head_dim);
        let zeros = || Tensor::zeros(shape, DType::F32, device);
        (0..config.num_layers).map(|_| Ok(Self { keys: zeros()?, values: zeros()? })).collect()
    }

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

    /// A block's keys, then its values.
    pub(in super::super) fn block(&self, block: u32) -> Result<Vec<f32>> {
        let read = |tensor: &Tensor| tensor.get(block as usize)?.flatten_all()?.to_vec1::<f32>();
        Ok([read(&self.keys)?, read(&self.values)?].concat())
    }

    /// Overwrites a block with such keys and values.
    pub(in super::super) fn set_block(&self, block: u32, floats: &[f32]) -> Result<()> {
        let (keys, values) = floats.split_at(floats.len() / 2);
        for (tensor, floats) in [(&self.keys, keys), (&self.values, values)] {
            let (_, size, heads, width) = tensor.dims4()?;
            let new = Tensor::from_slice(floats, (1, size, heads, width), tensor.device())?;
            tensor.slice_set(&new, 0, block as usize)?;
        }
        Ok(())
    }
}
