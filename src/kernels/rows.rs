//! What happens to single rows between products: norms, rotations, gates.
//!
//! Rows are padded with zeros to a multiple of sixteen columns.

use super::activations::{Activations, BLOCK};
use super::simd::{Kernel, LANES, Simd, exp};
use super::threads::{Compute, ThreadPool};

/// Rows of one unit of work.
const UNIT_ROWS: usize = 4;

/// Values below which waking other threads costs more than they save.
const SMALL_VALUES: usize = 1 << 13;

/// How rows are normed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm<'a> {
    /// One weight a column, padded as the rows are.
    pub(crate) weight: &'a [f32],
    pub(crate) eps: f32,
}

/// Root-mean-square norm of each row of `rows`, which are `stride` apart:
/// `x · weight / √(mean(x²) + ε)` (Zhang and Sennrich 2019, arXiv:1910.07467).
/// `inputs` has the shape; rows are quantised if `quantize`.
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn rms_norm(
    Compute { pool, isa }: Compute<'_>,
    rows: &[f32],
    stride: usize,
    norm: Norm<'_>,
    inputs: &mut Activations,
    quantize: bool,
) {
    let (num_rows, num_columns) = (inputs.num_rows(), inputs.num_columns());
    let padded = num_columns.next_multiple_of(LANES);
    assert!(norm.weight.len() == padded && padded <= stride, "one weight a column");
    assert!(num_rows * stride <= rows.len(), "rows lie in the slice");
    let writer = inputs.writer();
    each_row(pool, num_rows, num_columns, |row| {
        let from = &rows[row * stride..row * stride + padded];
        // SAFETY: each row is one unit's.
        let to = unsafe { writer.floats(row, 0, padded) };
        isa.run(RmsNorm { from, num_columns, norm, to });
        if quantize {
            // SAFETY: as above.
            unsafe { writer.quantize(isa, row, 0, num_columns) };
        }
    });
}

/// Gates: `silu(gate) · up`, where each row of `rows` holds the gates and, from column
/// `up_at` on, what they gate (Shazeer 2020, arXiv:2002.05202).
///
/// # Panics
/// If the shapes do not fit.
pub(crate) fn swiglu(
    Compute { pool, isa }: Compute<'_>,
    rows: &[f32],
    stride: usize,
    up_at: usize,
    inputs: &mut Activations,
    quantize: bool,
) {
    // Columns of one unit: wide rows are shared even if there is only one.
    const PART: usize = 64 * BLOCK;
    let (num_rows, num_columns) = (inputs.num_rows(), inputs.num_columns());
    let padded = num_columns.next_multiple_of(LANES);
    assert!(padded <= up_at && up_at + padded <= stride, "gates lie before what they gate");
    assert!(num_rows * stride <= rows.len(), "rows lie in the slice");
    let num_parts = num_columns.div_ceil(PART);
    let writer = inputs.writer();
    let unit = |unit: usize| {
        let (row, start) = (unit / num_parts, unit % num_parts * PART);
        let len = PART.min(padded - start);
        let row_values = &rows[row * stride..(row + 1) * stride];
        let (gate, up) = (&row_values[start..start + len], &row_values[up_at + start..][..len]);
        // SAFETY: each part of a row is one unit's.
        let to = unsafe { writer.floats(row, start, len) };
        isa.run(SwiGlu { gate, up, to });
        if quantize {
            // SAFETY: as above.
            unsafe { writer.quantize(isa, row, start, PART.min(num_columns - start)) };
        }
    };
    let num_units = num_rows * num_parts;
    if num_rows * num_columns < SMALL_VALUES {
        (0..num_units).for_each(unit);
    } else {
        pool.run(num_units, unit);
    }
}

/// Rows one by one, or shared among threads where they are worth it.
pub(super) fn each_row(
    pool: &ThreadPool,
    num_rows: usize,
    num_columns: usize,
    unit: impl Fn(usize) + Sync,
) {
    if num_rows * num_columns < SMALL_VALUES {
        return (0..num_rows).for_each(unit);
    }
    pool.run(num_rows.div_ceil(UNIT_ROWS), |index| {
        let first = index * UNIT_ROWS;
        (first..num_rows.min(first + UNIT_ROWS)).for_each(&unit);
    });
}

struct RmsNorm<'a> {
    from: &'a [f32],
    num_columns: usize,
    norm: Norm<'a>,
    to: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (from, weight) = (self.from.as_ptr(), self.norm.weight.as_ptr());
        unsafe {
            let mut squares = S::splat(0.0);
            for i in (0..self.from.len()).step_by(LANES) {
                let x = S::load(from.add(i));
                squares = S::mul_add(x, x, squares);
            }
            let mean = S::reduce_add(squares) / self.num_columns as f32;
            let scale = S::splat(1.0 / (mean + self.norm.eps).sqrt());
            for i in (0..self.from.len()).step_by(LANES) {
                let x = S::mul(S::load(from.add(i)), scale);
                S::store(self.to.as_mut_ptr().add(i), S::mul(x, S::load(weight.add(i))));
            }
        }
    }
}

struct SwiGlu<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for SwiGlu<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        unsafe {
            let one = S::splat(1.0);
            for i in (0..self.to.len()).step_by(LANES) {
                let gate = S::load(self.gate.as_ptr().add(i));
                let up = S::load(self.up.as_ptr().add(i));
                let decay = exp::<S>(S::sub(S::splat(0.0), gate));
                let silu = S::div(gate, S::add(one, decay));
                S::store(self.to.as_mut_ptr().add(i), S::mul(silu, up));
            }
        }
    }
}

/// Cosines and sines by which the heads of each row of a step are turned.
#[derive(Debug, Default)]
pub(crate) struct Rotations {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotations {
    /// For rows at `positions`; `frequencies` are radians a position, `head_dim / 2` of
    /// them (Su et al. 2021, arXiv:2104.09864). Angles are f32, as the references have
    /// them.
    pub(crate) fn at(&mut self, positions: impl Iterator<Item = usize>, frequencies: &[f32]) {
        self.half = frequencies.len();
        self.cos.clear();
        self.sin.clear();
        for position in positions {
            for frequency in frequencies {
                let (sin, cos) = (position as f32 * frequency).sin_cos();
                self.cos.push(cos);
                self.sin.push(sin);
            }
        }
    }

    pub(super) fn row(&self, row: usize) -> (&[f32], &[f32]) {
        let range = row * self.half..(row + 1) * self.half;
        (&self.cos[range.clone()], &self.sin[range])
    }
}

/// Turns a head's pairs, which are half a head apart, and scales it.
pub(super) struct RotateHalf<'a> {
    pub(super) head: &'a mut [f32],
    pub(super) cos: &'a [f32],
    pub(super) sin: &'a [f32],
    pub(super) scale: f32,
}

impl Kernel for RotateHalf<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (first, last) = self.head.split_at_mut(self.cos.len());
        let pairs = first.iter_mut().zip(last).zip(self.cos.iter().zip(self.sin));
        for ((x, y), (cos, sin)) in pairs {
            let (a, b) = (*x, *y);
            *x = (a * cos - b * sin) * self.scale;
            *y = (b * cos + a * sin) * self.scale;
        }
    }
}
