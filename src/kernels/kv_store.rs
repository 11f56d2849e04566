//! Keys and values of past positions, in blocks that callers hand out, as the
//! attention kernel reads them.
//!
//! A block holds all layers, so that it can be moved as one run of bytes. Within it,
//! each layer and key-value head has its keys transposed, `(head_dim, key_stride)`, so
//! that one load brings the same element of sixteen keys, and its values as
//! `(block_size, value_stride)`. Half precision: attention averages what rounding
//! loses, and a cache holds twice as many conversations.

use super::memory::zeroed;
use super::simd::LANES;

/// How a block is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvLayout {
    pub(crate) num_layers: usize,
    pub(crate) num_kv_heads: usize,
    pub(crate) head_dim: usize,
    /// Positions per block.
    pub(crate) block_size: usize,
}

impl KvLayout {
    /// Keys from one element to the next.
    pub(super) fn key_stride(&self) -> usize {
        self.block_size.next_multiple_of(LANES)
    }

    /// Elements from one value to the next.
    pub(super) fn value_stride(&self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    fn head_len(&self) -> usize {
        self.head_dim * self.key_stride() + self.block_size * self.value_stride()
    }

    /// Elements of a block.
    fn block_len(&self) -> usize {
        self.num_layers * self.num_kv_heads * self.head_len()
    }

    /// Bytes of a block, over all layers.
    pub(crate) fn block_bytes(&self) -> usize {
        self.block_len() * size_of::<u16>()
    }

    /// Where the keys of a layer's head begin within its block.
    pub(super) fn keys_at(&self, layer: usize, head: usize) -> usize {
        (layer * self.num_kv_heads + head) * self.head_len()
    }

    /// Where its values begin.
    pub(super) fn values_at(&self, layer: usize, head: usize) -> usize {
        self.keys_at(layer, head) + self.head_dim * self.key_stride()
    }
}

/// The blocks.
#[derive(Debug)]
pub(crate) struct KvStore {
    layout: KvLayout,
    num_blocks: usize,
    /// Bits of half-precision floats. Untouched memory is not resident.
    halves: Vec<u16>,
}

impl KvStore {
    /// Zeroed blocks; `None` if memory does not suffice.
    pub(crate) fn new(layout: KvLayout, num_blocks: usize) -> Option<Self> {
        let len = layout.block_len().checked_mul(num_blocks)?;
        Some(Self { layout, num_blocks, halves: zeroed(len)? })
    }

    pub(crate) fn layout(&self) -> &KvLayout {
        &self.layout
    }

    pub(crate) fn num_blocks(&self) -> usize {
        self.num_blocks
    }

    pub(super) fn block_len(&self) -> usize {
        self.layout.block_len()
    }

    pub(super) fn halves(&self) -> &[u16] {
        &self.halves
    }

    pub(super) fn halves_mut(&mut self) -> &mut [u16] {
        &mut self.halves
    }

    /// A block's bytes, little-endian.
    ///
    /// # Panics
    /// If there is no such block, or `out` is not [`KvLayout::block_bytes`] long.
    pub(crate) fn read_block(&self, block: u32, out: &mut [u8]) {
        let halves = &self.halves[self.range(block)];
        assert_eq!(out.len(), self.layout.block_bytes(), "the bytes of one block");
        for (out, half) in out.as_chunks_mut::<2>().0.iter_mut().zip(halves) {
            *out = half.to_le_bytes();
        }
    }

    /// Overwrites a block with such bytes.
    ///
    /// # Panics
    /// As [`KvStore::read_block`].
    pub(crate) fn write_block(&mut self, block: u32, bytes: &[u8]) {
        let range = self.range(block);
        assert_eq!(bytes.len(), self.layout.block_bytes(), "the bytes of one block");
        for (half, bytes) in self.halves[range].iter_mut().zip(bytes.as_chunks::<2>().0) {
            *half = u16::from_le_bytes(*bytes);
        }
    }

    fn range(&self, block: u32) -> std::ops::Range<usize> {
        let (start, len) = (block as usize * self.layout.block_len(), self.layout.block_len());
        start..start + len
    }
}
