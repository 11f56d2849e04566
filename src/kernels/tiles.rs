//! Weights as the kernels read them: tiles of sixteen rows, interleaved so that one
//! load brings four columns of each. One file a weight type.
//!
//! Scales stay as they are stored, so a tile is about as large as what it was packed
//! from; what a tile stands for is exactly what was stored.

mod float;
mod group_scales;
mod q4;
mod q4_k;
mod q5_k;
mod q6_k;
mod q8;

pub(super) use float::{Bf16, F16, F32};
pub(super) use q4::{Q4_0, Q4_1};
pub(super) use q4_k::Q4K;
pub(super) use q5_k::Q5K;
pub(super) use q6_k::Q6K;
pub(super) use q8::{Q5_0, Q8_0};

use super::activations::Block;
use super::simd::{LANES, Simd};

/// How weights of one type are packed, multiplied and read back.
///
/// `R` rows of activations are multiplied with `T` tiles at a time; each of the `R·T`
/// sums is taken in the order of the columns, whatever `R` and `T` are.
pub(super) trait Format: 'static {
    /// Sixteen rows of [`Format::COLUMNS`] columns.
    type Tile: Copy + Send + Sync;
    /// What it is multiplied with: blocks of 32 columns, or single floats.
    type Input: Copy + Send + Sync;

    /// Columns of a tile.
    const COLUMNS: usize;
    /// Inputs of that many columns.
    const INPUTS: usize;
    /// Bytes that the columns of a tile take in a file, for each row.
    const STORED_BYTES: usize;

    /// A tile of zeros.
    fn zero() -> Self::Tile;

    /// Puts one row's stored bytes (fewer than a tile's where the row ends) in a lane.
    fn pack(tile: &mut Self::Tile, lane: usize, stored: &[u8]);

    /// Reads one row of a tile back.
    fn unpack(tile: &Self::Tile, lane: usize, out: &mut [f32]);

    /// Adds the products of `R` rows with `T` tiles to `sums`; tile `t` is `tiles` plus
    /// `t`, row `r` is `rows` plus `r · row_stride`.
    ///
    /// # Safety
    /// `S` is there; the pointers lead to that many tiles, and to [`Format::INPUTS`]
    /// inputs of that many rows.
    unsafe fn add_products<S: Simd, const R: usize, const T: usize>(
        tiles: *const Self::Tile,
        rows: *const Self::Input,
        row_stride: usize,
        sums: &mut [[S::F; T]; R],
    );
}

/// Blocks of so few rows ask for the weights this many bytes ahead: they come first
/// where there are few rows in all, and weights are read from memory but once.
pub(super) const PREFETCH_ROWS: usize = 4;
const PREFETCH_BYTES: usize = 8192;

/// Asks for the line that is needed `PREFETCH_BYTES` later.
#[inline(always)]
unsafe fn prefetch_ahead<S: Simd, const R: usize>(line: *const u8) {
    if R <= PREFETCH_ROWS {
        unsafe { S::prefetch(line.wrapping_add(PREFETCH_BYTES)) }
    }
}

/// Adds `d · ints · x_scale` of 32 columns of tile `t`, whose scales `d` are halves.
#[inline(always)]
unsafe fn add_scaled<'a, S: Simd, const R: usize, const T: usize>(
    t: usize,
    d: &[u16; LANES],
    ints: &[[S::I; T]; R],
    block: impl Fn(usize) -> &'a Block,
    sums: &mut [[S::F; T]; R],
) {
    unsafe {
        let d = S::load_f16(d.as_ptr());
        for r in 0..R {
            let scale = S::mul(d, S::splat(block(r).scale));
            sums[r][t] = S::mul_add(S::to_float(ints[r][t]), scale, sums[r][t]);
        }
    }
}

/// Sums that begin with what an offset of the weights adds to them.
#[inline(always)]
unsafe fn offset_sums<'a, S: Simd, const R: usize, const T: usize>(
    offset: i32,
    block: impl Fn(usize) -> &'a Block,
) -> [[S::I; T]; R] {
    // A loop: closures are functions of their own, without the instruction set.
    unsafe {
        let mut ints = [[S::splat_int(0); T]; R];
        for r in 0..R {
            ints[r] = [S::splat_int(-offset * block(r).sum()); T];
        }
        ints
    }
}

/// Where column `column` of row `lane` lies among bytes of four columns a lane.
fn byte_of(column: usize, lane: usize) -> usize {
    column / 4 * (4 * LANES) + lane * 4 + column % 4
}

/// Where a nibble of 32-column groups lies: byte, and whether it is the upper half.
/// Eight columns make 64 bytes: the first four below, the last four above.
fn nibble_of(column: usize, lane: usize) -> (usize, bool) {
    (column / 8 * (4 * LANES) + lane * 4 + column % 4, column % 8 >= 4)
}

fn put_nibble(bytes: &mut [u8], column: usize, lane: usize, value: u8) {
    let (byte, upper) = nibble_of(column, lane);
    bytes[byte] |= value << if upper { 4 } else { 0 };
}

fn get_nibble(bytes: &[u8], column: usize, lane: usize) -> u8 {
    let (byte, upper) = nibble_of(column, lane);
    if upper { bytes[byte] >> 4 } else { bytes[byte] & 15 }
}

fn half_at(stored: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([stored[at], stored[at + 1]])
}

fn half_to_f32(bits: u16) -> f32 {
    half::f16::from_bits(bits).to_f32()
}
