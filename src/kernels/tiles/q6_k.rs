//! Six bits in blocks of 256 columns, each of its sixteen groups of 16 with a signed
//! scale of eight bits (ggml's Q6_K: `w = d · s · (q − 32)`).

use super::super::activations::Block;
use super::super::simd::{LANES, Simd};
use super::{Format, get_nibble, half_at, half_to_f32, prefetch_ahead, put_nibble};

/// One block. A group's upper bits are 64 bytes: bits `2s` and `2s + 1` of a byte
/// belong to columns `4s..4s + 4` of the group.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Tile {
    low: [[u8; 8 * LANES]; 16],
    high: [[u8; 4 * LANES]; 16],
    scales: [[i8; LANES]; 16],
    d: [f32; LANES],
}

/// ggml's Q6_K.
#[derive(Debug)]
pub(in super::super) struct Q6K;

const OFFSET: i32 = 32;

/// The six bits of a column as ggml stores them: of each 128 columns, 64 bytes hold
/// the lower nibbles, and 32 the upper pairs of bits.
fn stored_value(low: &[u8], high: &[u8], column: usize) -> u8 {
    let (half, within) = (column / 128, column % 128);
    let (quarter, at) = (within / 32, within % 32);
    let byte = low[half * 64 + quarter % 2 * 32 + at];
    let nibble = if quarter < 2 { byte & 15 } else { byte >> 4 };
    nibble | (((high[half * 32 + at] >> (2 * quarter)) & 3) << 4)
}

/// Byte and shift of a column's upper bits within its group.
fn high_of(within: usize, lane: usize) -> (usize, usize) {
    (lane * 4 + within % 4, within / 4 * 2)
}

impl Format for Q6K {
    type Tile = Tile;
    type Input = Block;

    const COLUMNS: usize = 256;
    const INPUTS: usize = 8;
    const STORED_BYTES: usize = 210;

    fn zero() -> Tile {
        Tile {
            low: [[0; 8 * LANES]; 16],
            high: [[0; 4 * LANES]; 16],
            scales: [[0; LANES]; 16],
            d: [0.0; LANES],
        }
    }

    fn pack(tile: &mut Tile, lane: usize, stored: &[u8]) {
        let (low, rest) = stored.split_at(128);
        let (high, rest) = rest.split_at(64);
        tile.d[lane] = half_to_f32(half_at(rest, 16));
        for column in 0..256 {
            let (group, within) = (column / 16, column % 16);
            tile.scales[group][lane] = rest[group].cast_signed();
            let value = stored_value(low, high, column);
            put_nibble(&mut tile.low[group], within, lane, value & 15);
            let (byte, shift) = high_of(within, lane);
            tile.high[group][byte] |= (value >> 4) << shift;
        }
    }

    fn unpack(tile: &Tile, lane: usize, out: &mut [f32]) {
        for (column, out) in out.iter_mut().enumerate() {
            let (group, within) = (column / 16, column % 16);
            let (byte, shift) = high_of(within, lane);
            let high = (tile.high[group][byte] >> shift) & 3;
            let q = i32::from(get_nibble(&tile.low[group], within, lane) | high << 4) - OFFSET;
            *out = tile.d[lane] * f32::from(tile.scales[group][lane]) * q as f32;
        }
    }

    #[inline(always)]
    unsafe fn add_products<S: Simd, const R: usize, const T: usize>(
        tiles: *const Tile,
        rows: *const Block,
        row_stride: usize,
        sums: &mut [[S::F; T]; R],
    ) {
        unsafe {
            let tile = |t: usize| &*tiles.add(t);
            let (nibble, pair) = (S::splat_int(0x0f0f_0f0f), S::splat_int(0x3030_3030));
            for group in 0..16 {
                let block = |r: usize| &*rows.add(r * row_stride + group / 2);
                let mut weights = [[S::splat_int(0); T]; 4];
                for t in 0..T {
                    let (low, high) = (tile(t).low[group].as_ptr(), tile(t).high[group].as_ptr());
                    prefetch_ahead::<S, R>(low);
                    prefetch_ahead::<S, R>(low.add(64));
                    prefetch_ahead::<S, R>(high);
                    let (a, b) = (S::load_bytes(low), S::load_bytes(low.add(64)));
                    let high = S::load_bytes(high);
                    let join = |low, high| S::or(S::and(low, nibble), S::and(high, pair));
                    weights[0][t] = join(a, S::shift_left::<4>(high));
                    weights[1][t] = join(S::shift_right::<4>(a), S::shift_left::<2>(high));
                    weights[2][t] = join(b, high);
                    weights[3][t] = join(S::shift_right::<4>(b), S::shift_right::<2>(high));
                }
                let mut ints = [[S::splat_int(0); T]; R];
                for r in 0..R {
                    let sum = i32::from(block(r).sums[group % 2]);
                    ints[r] = [S::splat_int(-OFFSET * sum); T];
                    let row = block(r).q.as_ptr().add(group % 2 * 16);
                    for four in 0..4 {
                        let row = S::splat_four(row.add(four * 4));
                        for t in 0..T {
                            ints[r][t] = S::dot_small(ints[r][t], weights[four][t], row);
                        }
                    }
                }
                for t in 0..T {
                    let scale = S::load_i8(tile(t).scales[group].as_ptr());
                    let scale = S::mul(S::load(tile(t).d.as_ptr()), scale);
                    for r in 0..R {
                        let product = S::mul(S::to_float(ints[r][t]), scale);
                        sums[r][t] = S::mul_add(product, S::splat(block(r).scale), sums[r][t]);
                    }
                }
            }
        }
    }
}
