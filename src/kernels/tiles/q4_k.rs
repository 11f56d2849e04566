//! Four bits in blocks of 256 columns, each of its eight groups of 32 with a scale and
//! a minimum of six bits (ggml's Q4_K: `w = d · s · q − dmin · m`).

use super::super::activations::Block;
use super::super::simd::{LANES, Simd};
use super::q4::add_nibbles;
use super::{Format, get_nibble, half_at, half_to_f32, put_nibble};

/// One block.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Tile {
    q: [[u8; 16 * LANES]; 8],
    scales: [[u8; LANES]; 8],
    minima: [[u8; LANES]; 8],
    d: [u16; LANES],
    dmin: [u16; LANES],
}

/// ggml's Q4_K.
#[derive(Debug)]
pub(in super::super) struct Q4K;

/// The six-bit scale and minimum of a group, from ggml's twelve packed bytes.
pub(super) fn scale_and_minimum(packed: &[u8], group: usize) -> (u8, u8) {
    if group < 4 {
        return (packed[group] & 63, packed[group + 4] & 63);
    }
    let (low, high_scale, high_minimum) =
        (packed[group + 4], packed[group - 4] >> 6, packed[group] >> 6);
    ((low & 15) | (high_scale << 4), (low >> 4) | (high_minimum << 4))
}

/// The nibble of a column among ggml's: 64 columns share 32 bytes, the first 32 below.
pub(super) fn stored_nibble(stored: &[u8], column: usize) -> u8 {
    let byte = stored[column / 64 * 32 + column % 32];
    if column % 64 < 32 { byte & 15 } else { byte >> 4 }
}

impl Format for Q4K {
    type Tile = Tile;
    type Input = Block;

    const COLUMNS: usize = 256;
    const INPUTS: usize = 8;
    const STORED_BYTES: usize = 144;

    fn zero() -> Tile {
        Tile {
            q: [[0; 16 * LANES]; 8],
            scales: [[0; LANES]; 8],
            minima: [[0; LANES]; 8],
            d: [0; LANES],
            dmin: [0; LANES],
        }
    }

    fn pack(tile: &mut Tile, lane: usize, stored: &[u8]) {
        (tile.d[lane], tile.dmin[lane]) = (half_at(stored, 0), half_at(stored, 2));
        for group in 0..8 {
            let (scale, minimum) = scale_and_minimum(&stored[4..16], group);
            (tile.scales[group][lane], tile.minima[group][lane]) = (scale, minimum);
        }
        for column in 0..256 {
            let value = stored_nibble(&stored[16..], column);
            put_nibble(&mut tile.q[column / 32], column % 32, lane, value);
        }
    }

    fn unpack(tile: &Tile, lane: usize, out: &mut [f32]) {
        for (column, out) in out.iter_mut().enumerate() {
            let group = column / 32;
            let q = f32::from(get_nibble(&tile.q[group], column % 32, lane));
            let scale = half_to_f32(tile.d[lane]) * f32::from(tile.scales[group][lane]);
            let minimum = half_to_f32(tile.dmin[lane]) * f32::from(tile.minima[group][lane]);
            *out = scale * q - minimum;
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
            let (mut d, mut dmin) = ([S::splat(0.0); T], [S::splat(0.0); T]);
            for t in 0..T {
                d[t] = S::load_f16(tile(t).d.as_ptr());
                dmin[t] = S::load_f16(tile(t).dmin.as_ptr());
            }
            for group in 0..8 {
                let block = |r: usize| &*rows.add(r * row_stride + group);
                let mut ints = [[S::splat_int(0); T]; R];
                let (line, row) =
                    (|t: usize| tile(t).q[group].as_ptr(), |r: usize| block(r).q.as_ptr());
                add_nibbles::<S, R, T>(line, row, &mut ints);
                for t in 0..T {
                    let scale = S::mul(d[t], S::load_u8(tile(t).scales[group].as_ptr()));
                    let minimum = S::mul(dmin[t], S::load_u8(tile(t).minima[group].as_ptr()));
                    add_group::<S, R, T>(t, scale, minimum, &ints, block, sums);
                }
            }
        }
    }
}

/// Adds `(scale · ints − minimum · Σq) · x_scale` of one group.
#[inline(always)]
pub(super) unsafe fn add_group<'a, S: Simd, const R: usize, const T: usize>(
    t: usize,
    scale: S::F,
    minimum: S::F,
    ints: &[[S::I; T]; R],
    block: impl Fn(usize) -> &'a Block,
    sums: &mut [[S::F; T]; R],
) {
    unsafe {
        let minimum = S::sub(S::splat(0.0), minimum);
        for r in 0..R {
            let shift = S::mul(minimum, S::splat(block(r).sum() as f32));
            let product = S::mul_add(S::to_float(ints[r][t]), scale, shift);
            sums[r][t] = S::mul_add(product, S::splat(block(r).scale), sums[r][t]);
        }
    }
}
