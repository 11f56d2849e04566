//! Eight bits and a scale for 32 columns (ggml's Q8_0: `w = d · q`), and Q5_0, whose
//! values are among these.

use super::super::activations::Block;
use super::super::simd::{LANES, Simd};
use super::{Format, add_scaled, byte_of, half_at, half_to_f32, offset_sums, prefetch_ahead};

/// Two blocks of 32 columns; `q` is stored with 128 added, as the products want one
/// side unsigned.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Tile {
    q: [[u8; 32 * LANES]; 2],
    d: [[u16; LANES]; 2],
}

/// ggml's Q8_0.
#[derive(Debug)]
pub(in super::super) struct Q8_0;

/// ggml's Q5_0: `w = d · (q − 16)`.
#[derive(Debug)]
pub(in super::super) struct Q5_0;

const OFFSET: i32 = 128;

const ZERO: Tile = Tile { q: [[OFFSET as u8; 32 * LANES]; 2], d: [[0; LANES]; 2] };

#[inline(always)]
unsafe fn add_products<S: Simd, const R: usize, const T: usize>(
    tiles: *const Tile,
    rows: *const Block,
    row_stride: usize,
    sums: &mut [[S::F; T]; R],
) {
    unsafe {
        for half in 0..2 {
            let block = |r: usize| &*rows.add(r * row_stride + half);
            let mut ints = offset_sums::<S, R, T>(OFFSET, block);
            for four in 0..8 {
                let mut weights = [S::splat_int(0); T];
                for t in 0..T {
                    let line = (*tiles.add(t)).q[half].as_ptr().add(four * 64);
                    prefetch_ahead::<S, R>(line);
                    weights[t] = S::load_bytes(line);
                }
                for r in 0..R {
                    let row = S::splat_four(block(r).q.as_ptr().add(four * 4));
                    for t in 0..T {
                        ints[r][t] = S::dot(ints[r][t], weights[t], row);
                    }
                }
            }
            for t in 0..T {
                add_scaled::<S, R, T>(t, &(*tiles.add(t)).d[half], &ints, block, sums);
            }
        }
    }
}

fn unpack(tile: &Tile, lane: usize, out: &mut [f32]) {
    for (column, out) in out.iter_mut().enumerate() {
        let (half, column) = (column / 32, column % 32);
        let q = i32::from(tile.q[half][byte_of(column, lane)]) - OFFSET;
        *out = half_to_f32(tile.d[half][lane]) * q as f32;
    }
}

macro_rules! format {
    ($name:ident, $block_bytes:expr, $quant:expr) => {
        impl Format for $name {
            type Tile = Tile;
            type Input = Block;

            const COLUMNS: usize = 64;
            const INPUTS: usize = 2;
            const STORED_BYTES: usize = 2 * $block_bytes;

            fn zero() -> Tile {
                ZERO
            }

            fn pack(tile: &mut Tile, lane: usize, stored: &[u8]) {
                for (half, stored) in stored.chunks_exact($block_bytes).enumerate() {
                    tile.d[half][lane] = half_at(stored, 0);
                    for column in 0..32 {
                        let q: i32 = $quant(&stored[2..], column);
                        tile.q[half][byte_of(column, lane)] = (q + OFFSET) as u8;
                    }
                }
            }

            fn unpack(tile: &Tile, lane: usize, out: &mut [f32]) {
                unpack(tile, lane, out);
            }

            #[inline(always)]
            unsafe fn add_products<S: Simd, const R: usize, const T: usize>(
                tiles: *const Tile,
                rows: *const Block,
                row_stride: usize,
                sums: &mut [[S::F; T]; R],
            ) {
                unsafe { add_products::<S, R, T>(tiles, rows, row_stride, sums) }
            }
        }
    };
}

format!(Q8_0, 34, |stored: &[u8], column: usize| i32::from(stored[column].cast_signed()));
format!(Q5_0, 22, |stored: &[u8], column: usize| {
    let high = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
    let byte = stored[4 + column % 16];
    let low = if column < 16 { byte & 15 } else { byte >> 4 };
    (i32::from(low) | (((high >> column) & 1) << 4) as i32) - 16
});
