//! Keys and values of past positions, in blocks that callers hand out.
//!
//! It does not know who owns a block: writing two sequences into one block is the
//! caller's bug.

use super::candle::LayerCache;
use super::cpu::Buffers;
use super::gpu::GpuCache;
use super::{ModelConfig, ModelError};
use crate::gpu::Coming;
use crate::kernels::KvStore;

/// The keys and values of one model on one device. Made by [`super::Model::kv_cache`].
#[derive(Debug)]
pub struct KvCache {
    pub(super) memory: KvMemory,
    pub(super) num_blocks: usize,
    pub(super) block_size: usize,
    pub(super) block_bytes: usize,
}

/// A copy of a block that is on its way.
#[derive(Debug)]
pub struct ComingBlock(Way);

#[derive(Debug)]
enum Way {
    Here(Vec<u8>),
    Coming(Coming),
}

impl ComingBlock {
    /// The copy, or why there is none; itself, if it is yet to come.
    ///
    /// # Errors
    /// `Err(self)` where it is not here yet.
    pub fn take(self) -> Result<Result<Vec<u8>, ModelError>, Self> {
        match self.0 {
            Way::Here(bytes) => Ok(Ok(bytes)),
            Way::Coming(coming) => match coming.take() {
                Some(arrival) => Ok(arrival.map_err(ModelError::from)),
                None => Err(Self(Way::Coming(coming))),
            },
        }
    }

    /// The copy, waited for.
    ///
    /// # Errors
    /// The device failed.
    pub fn wait(self) -> Result<Vec<u8>, ModelError> {
        match self.0 {
            Way::Here(bytes) => Ok(bytes),
            Way::Coming(coming) => Ok(coming.wait()?),
        }
    }
}

#[cfg(test)]
impl ComingBlock {
    /// One that comes when it is sent.
    pub(crate) fn on_its_way() -> (std::sync::mpsc::Sender<crate::gpu::Arrival>, Self) {
        let (to, coming) = Coming::new();
        (to, Self(Way::Coming(coming)))
    }
}

#[derive(Debug)]
pub(super) enum KvMemory {
    /// For our kernels, with the buffers of their steps.
    Kernels(KvStore, Box<Buffers>),
    /// On a GPU, with what its steps are computed in.
    Gpu(Box<GpuCache>),
    /// For candle, by layers.
    Candle(Vec<LayerCache>),
}

impl KvCache {
    /// How many blocks there are; ids run from 0.
    pub fn num_blocks(&self) -> usize {
        self.num_blocks
    }

    /// Positions per block.
    pub fn block_size(&self) -> usize {
        self.block_size
    }

    /// Bytes of a block, over all layers.
    pub fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// The type and the order of the numbers in a copy of a block, and the kind of GPU that
    /// computed them; changes with these.
    pub fn layout(&self) -> &str {
        match &self.memory {
            KvMemory::Kernels(..) => "v2",
            KvMemory::Gpu(cache) => &cache.layout,
            KvMemory::Candle(_) => "candle",
        }
    }

    /// Copies a block's keys and values out, to be put back by [`KvCache::write_block`]
    /// into a cache of the same model and block size.
    ///
    /// # Errors
    /// `Tensor` or `Gpu` if the device fails.
    ///
    /// # Panics
    /// If there is no such block, or `out` is not [`KvCache::block_bytes`] long.
    pub fn read_block(&self, block: u32, out: &mut [u8]) -> Result<(), ModelError> {
        match &self.memory {
            KvMemory::Kernels(store, _) => store.read_block(block, out),
            KvMemory::Gpu(cache) => cache.read_block(block, out)?,
            KvMemory::Candle(layers) => {
                for (layer, out) in layers.iter().zip(self.layers_mut(out, layers.len())) {
                    let floats = layer.block(block)?;
                    out.as_chunks_mut().0.iter_mut().zip(floats).for_each(|(out, x)| {
                        *out = x.to_le_bytes();
                    });
                }
            }
        }
        Ok(())
    }

    /// Begins to copy a block's keys and values out, as they are now: what is computed after
    /// this may change them. A GPU brings them beside its work.
    ///
    /// # Errors
    /// As [`KvCache::read_block`].
    ///
    /// # Panics
    /// If there is no such block.
    pub fn send_for_block(&self, block: u32) -> Result<ComingBlock, ModelError> {
        if let KvMemory::Gpu(cache) = &self.memory {
            return Ok(ComingBlock(Way::Coming(cache.send_for_block(block)?)));
        }
        let mut bytes = vec![0; self.block_bytes];
        self.read_block(block, &mut bytes)?;
        Ok(ComingBlock(Way::Here(bytes)))
    }

    /// Overwrites a block with what [`KvCache::read_block`] gave.
    ///
    /// # Errors
    /// As [`KvCache::read_block`].
    ///
    /// # Panics
    /// As [`KvCache::read_block`].
    pub fn write_block(&mut self, block: u32, bytes: &[u8]) -> Result<(), ModelError> {
        assert_eq!(bytes.len(), self.block_bytes, "the bytes of one block");
        match &mut self.memory {
            KvMemory::Kernels(store, _) => store.write_block(block, bytes),
            KvMemory::Gpu(cache) => cache.write_block(block, bytes)?,
            KvMemory::Candle(layers) => {
                for (layer, bytes) in
                    layers.iter().zip(bytes.chunks_exact(bytes.len() / layers.len()))
                {
                    let floats = bytes.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x));
                    layer.set_block(block, &floats.collect::<Vec<_>>())?;
                }
            }
        }
        Ok(())
    }

    fn layers_mut<'a>(
        &self,
        out: &'a mut [u8],
        num_layers: usize,
    ) -> impl Iterator<Item = &'a mut [u8]> {
        assert_eq!(out.len(), self.block_bytes, "the bytes of one block");
        let len = out.len() / num_layers;
        out.chunks_exact_mut(len)
    }
}

/// Checks the shape of a cache.
///
/// # Errors
/// `Config` with the number that cannot be.
pub(super) fn check_shape(num_blocks: usize, block_size: usize) -> Result<(), ModelError> {
    if num_blocks == 0 || u32::try_from(num_blocks).is_err() {
        return Err(ModelError::Config(format!("a KV cache of {num_blocks} blocks")));
    }
    if !block_size.is_power_of_two() || block_size > 256 {
        let what = format!("KV blocks of {block_size} positions; give a power of two up to 256");
        return Err(ModelError::Config(what));
    }
    Ok(())
}

/// Bytes of a block as candle keeps it: f32.
pub(super) fn candle_block_bytes(config: &ModelConfig, block_size: usize) -> usize {
    2 * config.num_layers * block_size * config.num_kv_heads * config.head_dim * size_of::<f32>()
}
