//! Four bits with a scale for 32 columns (ggml's Q4_0: `w = d · (q − 8)`), or with a
//! scale and a minimum (Q4_1: `w = d · q + m`).

use super::super::activations::Block;
use super::super::simd::{LANES, Simd};
use super::{
    Format, add_scaled, get_nibble, half_at, half_to_f32, offset_sums, prefetch_ahead, put_nibble,
};

/// Two blocks of 32 columns without minima.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Tile0 {
    q: [[u8; 16 * LANES]; 2],
    d: [[u16; LANES]; 2],
}

/// Two blocks of 32 columns with minima.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Tile1 {
    q: [[u8; 16 * LANES]; 2],
    d: [[u16; LANES]; 2],
    m: [[u16; LANES]; 2],
}

/// ggml's Q4_0.
#[derive(Debug)]
pub(in super::super) struct Q4_0;

/// ggml's Q4_1.
#[derive(Debug)]
pub(in super::super) struct Q4_1;

const OFFSET: i32 = 8;

/// Adds the products of 32 columns' nibbles; `line(t)` is where tile `t` keeps them.
#[inline(always)]
pub(super) unsafe fn add_nibbles<S: Simd, const R: usize, const T: usize>(
    line: impl Fn(usize) -> *const u8,
    row: impl Fn(usize) -> *const i8,
    ints: &mut [[S::I; T]; R],
) {
    unsafe {
        let mask = S::splat_int(0x0f0f_0f0f);
        for eight in 0..4 {
            let (mut low, mut high) = ([S::splat_int(0); T], [S::splat_int(0); T]);
            for t in 0..T {
                let line = line(t).add(eight * 64);
                prefetch_ahead::<S, R>(line);
                let bytes = S::load_bytes(line);
                low[t] = S::and(bytes, mask);
                high[t] = S::and(S::shift_right::<4>(bytes), mask);
            }
            for r in 0..R {
                let (first, last) = (
                    S::splat_four(row(r).add(eight * 8)),
                    S::splat_four(row(r).add(eight * 8 + 4)),
                );
                for t in 0..T {
                    let sum = S::dot_small(ints[r][t], low[t], first);
                    ints[r][t] = S::dot_small(sum, high[t], last);
                }
            }
        }
    }
}

/// The nibbles of a stored block: the first 16 columns below, the last above.
fn pack_nibbles(bytes: &mut [u8], lane: usize, stored: &[u8]) {
    for column in 0..32 {
        let byte = stored[column % 16];
        let value = if column < 16 { byte & 15 } else { byte >> 4 };
        put_nibble(bytes, column, lane, value);
    }
}

impl Format for Q4_0 {
    type Tile = Tile0;
    type Input = Block;

    const COLUMNS: usize = 64;
    const INPUTS: usize = 2;
    const STORED_BYTES: usize = 2 * 18;

    fn zero() -> Tile0 {
        Tile0 { q: [[0; 16 * LANES]; 2], d: [[0; LANES]; 2] }
    }

    fn pack(tile: &mut Tile0, lane: usize, stored: &[u8]) {
        for (half, stored) in stored.chunks_exact(18).enumerate() {
            tile.d[half][lane] = half_at(stored, 0);
            pack_nibbles(&mut tile.q[half], lane, &stored[2..]);
        }
    }

    fn unpack(tile: &Tile0, lane: usize, out: &mut [f32]) {
        for (column, out) in out.iter_mut().enumerate() {
            let (half, column) = (column / 32, column % 32);
            let q = i32::from(get_nibble(&tile.q[half], column, lane)) - OFFSET;
            *out = half_to_f32(tile.d[half][lane]) * q as f32;
        }
    }

    #[inline(always)]
    unsafe fn add_products<S: Simd, const R: usize, const T: usize>(
        tiles: *const Tile0,
        rows: *const Block,
        row_stride: usize,
        sums: &mut [[S::F; T]; R],
    ) {
        unsafe {
            for half in 0..2 {
                let block = |r: usize| &*rows.add(r * row_stride + half);
                let tile = |t: usize| &*tiles.add(t);
                let mut ints = offset_sums::<S, R, T>(OFFSET, block);
                let (line, row) =
                    (|t: usize| tile(t).q[half].as_ptr(), |r: usize| block(r).q.as_ptr());
                add_nibbles::<S, R, T>(line, row, &mut ints);
                for t in 0..T {
                    add_scaled::<S, R, T>(t, &tile(t).d[half], &ints, block, sums);
                }
            }
        }
    }
}

impl Format for Q4_1 {
    type Tile = Tile1;
    type Input = Block;

    const COLUMNS: usize = 64;
    const INPUTS: usize = 2;
    const STORED_BYTES: usize = 2 * 20;

    fn zero() -> Tile1 {
        Tile1 { q: [[0; 16 * LANES]; 2], d: [[0; LANES]; 2], m: [[0; LANES]; 2] }
    }

    fn pack(tile: &mut Tile1, lane: usize, stored: &[u8]) {
        for (half, stored) in stored.chunks_exact(20).enumerate() {
            tile.d[half][lane] = half_at(stored, 0);
            tile.m[half][lane] = half_at(stored, 2);
            pack_nibbles(&mut tile.q[half], lane, &stored[4..]);
        }
    }

    fn unpack(tile: &Tile1, lane: usize, out: &mut [f32]) {
        for (column, out) in out.iter_mut().enumerate() {
            let (half, column) = (column / 32, column % 32);
            let q = f32::from(get_nibble(&tile.q[half], column, lane));
            *out = half_to_f32(tile.d[half][lane]) * q + half_to_f32(tile.m[half][lane]);
        }
    }

    #[inline(always)]
    unsafe fn add_products<S: Simd, const R: usize, const T: usize>(
        tiles: *const Tile1,
        rows: *const Block,
        row_stride: usize,
        sums: &mut [[S::F; T]; R],
    ) {
        unsafe {
            for half in 0..2 {
                let block = |r: usize| &*rows.add(r * row_stride + half);
                let tile = |t: usize| &*tiles.add(t);
                let mut ints = [[S::splat_int(0); T]; R];
                let (line, row) =
                    (|t: usize| tile(t).q[half].as_ptr(), |r: usize| block(r).q.as_ptr());
                add_nibbles::<S, R, T>(line, row, &mut ints);
                for t in 0..T {
                    let scale = S::load_f16(tile(t).d[half].as_ptr());
                    let minimum = S::load_f16(tile(t).m[half].as_ptr());
                    for r in 0..R {
                        let shift = S::splat(block(r).sum() as f32);
                        let product =
                            S::mul_add(S::to_float(ints[r][t]), scale, S::mul(minimum, shift));
                        sums[r][t] = S::mul_add(product, S::splat(block(r).scale), sums[r][t]);
                    }
                }
            }
        }
    }
}
