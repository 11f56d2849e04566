//! Rows that are multiplied with matrices: as floats, and in eight bits with a scale
//! for every 32 columns, which is what quantised weights are multiplied with.

use super::shared_mut::SharedMut;
use super::simd::{Isa, Kernel, LANES, Simd};

/// Columns that share a scale.
pub(super) const BLOCK: usize = 32;

/// 32 columns of one row: `x ≈ scale · q`, rounded to nearest.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Block {
    pub(super) q: [i8; BLOCK],
    pub(super) scale: f32,
    /// The sums of the first and the last 16 of `q`, which offsets and minima of
    /// weights multiply.
    pub(super) sums: [i16; 2],
}

impl Block {
    #[inline(always)]
    pub(super) fn sum(&self) -> i32 {
        i32::from(self.sums[0]) + i32::from(self.sums[1])
    }
}

/// Rows of `num_columns` values each; reused from step to step.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    num_rows: usize,
    num_columns: usize,
    floats: Vec<f32>,
    blocks: Vec<Block>,
}

impl Activations {
    /// Takes this shape; what the rows held is undefined.
    pub(crate) fn resize(&mut self, num_rows: usize, num_columns: usize) {
        if self.num_columns != num_columns {
            // Padding is zero and stays so; another width has it in other places.
            self.floats.clear();
            self.blocks.clear();
        }
        (self.num_rows, self.num_columns) = (num_rows, num_columns);
        let (num_floats, num_blocks) =
            (num_rows * self.float_stride(), num_rows * self.block_stride());
        grow(&mut self.floats, num_floats);
        grow(&mut self.blocks, num_blocks);
    }

    /// Takes these rows as floats, for matrices of floats; what the blocks hold is
    /// undefined.
    pub(crate) fn set_floats(&mut self, num_columns: usize, values: &[f32]) {
        self.resize(values.len() / num_columns, num_columns);
        let stride = self.float_stride();
        let rows = self.floats.chunks_exact_mut(stride).zip(values.chunks_exact(num_columns));
        rows.for_each(|(row, values)| row[..num_columns].copy_from_slice(values));
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.num_rows
    }

    pub(crate) fn num_columns(&self) -> usize {
        self.num_columns
    }

    /// Floats from one row to the next.
    pub(super) fn float_stride(&self) -> usize {
        self.num_columns.next_multiple_of(BLOCK)
    }

    /// Blocks from one row to the next: whole tiles of every weight type.
    pub(super) fn block_stride(&self) -> usize {
        self.num_columns.next_multiple_of(256) / BLOCK
    }

    pub(super) fn floats(&self) -> &[f32] {
        &self.floats
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// For writing rows from several threads.
    pub(super) fn writer(&mut self) -> ActivationsWriter<'_> {
        ActivationsWriter {
            num_rows: self.num_rows,
            float_stride: self.float_stride(),
            block_stride: self.block_stride(),
            floats: SharedMut::new(&mut self.floats),
            blocks: SharedMut::new(&mut self.blocks),
        }
    }
}

fn grow<T: Clone + Default>(values: &mut Vec<T>, len: usize) {
    if values.len() < len {
        values.resize(len, T::default());
    }
}

/// Writes rows; each row is one thread's.
pub(super) struct ActivationsWriter<'a> {
    num_rows: usize,
    float_stride: usize,
    block_stride: usize,
    floats: SharedMut<'a, f32>,
    blocks: SharedMut<'a, Block>,
}

impl<'a> ActivationsWriter<'a> {
    /// The floats of columns `start..start + len` of a row.
    ///
    /// # Safety
    /// No other thread reaches these columns meanwhile.
    pub(super) unsafe fn floats(&self, row: usize, start: usize, len: usize) -> &'a mut [f32] {
        debug_assert!(start + len <= self.float_stride && row < self.num_rows);
        unsafe { self.floats.part(row * self.float_stride + start, len) }
    }

    /// Quantises columns `start..start + len` of a row; both are whole blocks, or the
    /// part ends with the row.
    ///
    /// # Safety
    /// No other thread reaches these columns meanwhile.
    pub(super) unsafe fn quantize(&self, isa: Isa, row: usize, start: usize, len: usize) {
        debug_assert!(start.is_multiple_of(BLOCK));
        let num_blocks = len.div_ceil(BLOCK);
        let from = unsafe { self.floats(row, start, num_blocks * BLOCK) };
        let first = row * self.block_stride + start / BLOCK;
        let to = unsafe { self.blocks.part(first, num_blocks) };
        isa.run(Quantize { from, to });
    }
}

/// Floats to blocks: the largest value of a block becomes ±127.
struct Quantize<'a> {
    from: &'a [f32],
    to: &'a mut [Block],
}

impl Kernel for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (from, to) in self.from.chunks_exact(BLOCK).zip(self.to) {
            unsafe {
                let (a, b) = (S::load(from.as_ptr()), S::load(from.as_ptr().add(LANES)));
                let largest = S::reduce_max(S::max(S::abs(a), S::abs(b)));
                let inverse = S::splat(if largest > 0.0 { 127.0 / largest } else { 0.0 });
                let (a, b) = (S::round(S::mul(a, inverse)), S::round(S::mul(b, inverse)));
                S::store_i8(to.q.as_mut_ptr(), a);
                S::store_i8(to.q.as_mut_ptr().add(LANES), b);
                to.scale = largest / 127.0;
                to.sums = [S::reduce_add_int(a) as i16, S::reduce_add_int(b) as i16];
            }
        }
    }
}
