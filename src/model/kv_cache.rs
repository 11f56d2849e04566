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

    /// Bytes of one block over all layers.
    pub fn block_bytes(&self) -> usize {
        self.layers.iter().map(LayerCache::row_bytes).sum::<usize>() * self.block_size
    }

    /// Copies a block's keys and values, layer by layer, into `out`, which is
    /// [`KvCache::block_bytes`] long.
    ///
    /// # Panics
    /// If `out` has another length, or there is no such block.
    pub fn read_block(&self, block: u32, out: &mut [u8]) {
        assert_eq!(out.len(), self.block_bytes(), "a block is read whole");
        let (mut rest, range) = (out, self.slots(block));
        for tensor in self.layers.iter().flat_map(|layer| [&layer.keys, &layer.values]) {
            let rows = tensor.narrow(0, range, 1).and_then(|rows| rows.flatten_all());
            let values: Vec<f32> =
                rows.and_then(|rows| rows.to_vec1()).expect("a block of the cache is readable");
            for value in values {
                let (bytes, left) = rest.split_at_mut(size_of::<f32>());
                bytes.copy_from_slice(&value.to_le_bytes());
                rest = left;
            }
        }
    }

    /// Overwrites a block with what [`KvCache::read_block`] gave.
    ///
    /// # Panics
    /// If `data` has another length, or there is no such block.
    pub fn write_block(&mut self, block: u32, data: &[u8]) {
        assert_eq!(data.len(), self.block_bytes(), "a block is written whole");
        let (mut rest, range) = (data, self.slots(block));
        for tensor in self.layers.iter().flat_map(|layer| [&layer.keys, &layer.values]) {
            let shape = tensor.narrow(0, range, 1).expect("there is such a block").shape().clone();
            let (bytes, left) = rest.split_at(shape.elem_count() * size_of::<f32>());
            let (values, _) = bytes.as_chunks();
            let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Tensor::from_vec(values, shape, tensor.device())
                .and_then(|rows| tensor.slice_set(&rows, 0, range))
                .expect("a block of the cache is writable");
            rest = left;
        }
    }

    /// The block as an index of the tensors.
    fn slots(&self, block: u32) -> usize {
        assert!((block as usize) < self.num_blocks, "there is no block {block}");
        block as usize
    }
}

impl LayerCache {
    /// Bytes of one position.
    fn row_bytes(&self) -> usize {
        let (_, _, num_heads, head_dim) = self.keys.dims4().unwrap_or_default();
        2 * num_heads * head_dim * size_of::<f32>()
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
}
