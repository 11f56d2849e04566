//! What happens to rows between products.

use super::GpuError;
use super::device::{Buffer, Shape};
use super::matrix::input_bytes;
use super::packing::CHUNK;
use super::parameters::{Heads, RmsNorm, Rotations};
use super::shape::{Gpu, KvShape, View, word};

/// How rows are normed.
#[derive(Debug)]
pub(crate) struct Norm {
    /// Floats, one a column.
    pub(crate) weights: Buffer,
    pub(crate) eps: f32,
}

/// Rows of queries, keys and values, and where they go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreHeads<'a> {
    /// [`HeadShape::width`](super::HeadShape::width) floats a row.
    pub(crate) heads: View<'a>,
    pub(crate) rotations: View<'a>,
    /// Gets `num_heads` times [`HeadShape::padded_head`](super::HeadShape::padded_head)
    /// operands a row.
    pub(crate) queries: View<'a>,
    /// For each row the number of its position in the cache, or [`NOWHERE`](super::NOWHERE).
    pub(crate) slots: View<'a>,
    pub(crate) cache: &'a Buffer,
    pub(crate) kv: KvShape,
    pub(crate) layer: usize,
    pub(crate) num_rows: usize,
}

impl Gpu {
    /// Norms rows to operands: the first `num_rows`, or those that `wanted` names.
    ///
    /// # Errors
    /// The device fails.
    ///
    /// # Panics
    /// If anything does not lie in its buffer.
    pub(crate) fn rms_norm(
        &self,
        norm: &Norm,
        rows: View<'_>,
        wanted: Option<View<'_>>,
        num_rows: usize,
        outputs: View<'_>,
    ) -> Result<(), GpuError> {
        let num_columns = norm.weights.num_bytes() / 4;
        let parameter = RmsNorm {
            rows: self.address(rows, if wanted.is_some() { 0 } else { num_rows * num_columns * 4 }),
            weights: self.address(&norm.weights, num_columns * 4),
            outputs: self.address(outputs, input_bytes(num_rows, num_columns)),
            wanted: wanted.map_or(0, |wanted| self.address(wanted, num_rows * 4)),
            num_columns: word(num_columns),
            num_chunks: word(num_columns.div_ceil(CHUNK)),
            eps: norm.eps,
            padding: 0,
        };
        let shape = Shape { grid: [word(num_rows), 1, 1], threads: 256, shared_bytes: 32 };
        // SAFETY: all lies in its buffer, given that wanted rows are there.
        unsafe { self.launch(self.kernel("rms_norm"), shape, &parameter) }
    }

    /// Cosines and sines of the rows' positions, `head_dim` floats a row.
    ///
    /// # Errors
    /// As [`Gpu::rms_norm`].
    ///
    /// # Panics
    /// As [`Gpu::rms_norm`].
    pub(crate) fn rotations(
        &self,
        positions: View<'_>,
        frequencies: &Buffer,
        num_rows: usize,
        rotations: View<'_>,
    ) -> Result<(), GpuError> {
        let head_dim = self.heads().head_dim;
        let parameter = Rotations {
            positions: self.address(positions, num_rows * 4),
            frequencies: self.address(frequencies, head_dim / 2 * 4),
            rotations: self.address(rotations, num_rows * head_dim * 4),
        };
        let shape = Shape { grid: [word(num_rows), 1, 1], threads: 128, shared_bytes: 0 };
        // SAFETY: all lies in its buffer.
        unsafe { self.launch(self.kernel("rotations"), shape, &parameter) }
    }

    /// Rotates queries and keys, and stores keys and values.
    ///
    /// # Errors
    /// As [`Gpu::rms_norm`].
    ///
    /// # Panics
    /// As [`Gpu::rms_norm`]. Slots beyond the cache are the caller's bug, and not seen here.
    pub(crate) fn store_heads(&self, store: &StoreHeads<'_>) -> Result<(), GpuError> {
        let heads = self.heads();
        assert_eq!(heads, store.kv.heads, "a cache of such heads");
        let rows = store.num_rows;
        let scale = std::f64::consts::LOG2_E / (heads.head_dim as f64).sqrt();
        let parameter = Heads {
            heads: self.address(store.heads, rows * heads.width() * 4),
            rotations: self.address(store.rotations, rows * heads.head_dim * 4),
            queries: self.address(store.queries, rows * heads.num_heads * heads.padded_head() * 2),
            cache: self.address(store.cache, store.cache.num_bytes()),
            slots: self.address(store.slots, rows * 4),
            block_bytes: store.kv.block_bytes() as u64,
            layer_at: store.kv.layer_at(store.layer) as u64,
            num_heads: word(heads.num_heads),
            num_kv_heads: word(heads.num_kv_heads),
            block_size: word(store.kv.block_size),
            scale: scale as f32,
        };
        let grid = [word(rows), word(heads.num_heads + 2 * heads.num_kv_heads), 1];
        let threads = word((heads.head_dim / 2).next_multiple_of(32).min(128));
        let shape = Shape { grid, threads, shared_bytes: 0 };
        // SAFETY: all lies in its buffer, given that slots are the cache's.
        unsafe { self.launch(self.kernel("store_heads"), shape, &parameter) }
    }
}
