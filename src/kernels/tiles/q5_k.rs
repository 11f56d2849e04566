//! As Q4_K with a fifth bit (ggml's Q5_K; see [`GroupScales`]).

use super::super::activations::Block;
use super::super::simd::{LANES, Simd};
use super::group_scales::{GroupScales, stored_nibble};
use super::{Format, get_nibble, nibble_of, prefetch_ahead, put_nibble};

/// One block. A group's fifth bits are 64 bytes: bit `2e` of a byte belongs to the
/// lower nibble in the same place of the `e`-th 64 bytes of `q`, bit `2e + 1` to the
/// upper.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Tile {
    q: [[u8; 16 * LANES]; 8],
    high: [[u8; 4 * LANES]; 8],
    scales: GroupScales,
}

/// ggml's Q5_K.
#[derive(Debug)]
pub(in super::super) struct Q5K;

/// Byte and bit of a column's fifth bit.
fn high_of(column: usize, lane: usize) -> (usize, usize) {
    let (byte, upper) = nibble_of(column, lane);
    (byte % (4 * LANES), column / 8 * 2 + usize::from(upper))
}

impl Format for Q5K {
    type Tile = Tile;
    type Input = Block;

    const COLUMNS: usize = 256;
    const INPUTS: usize = 8;
    const STORED_BYTES: usize = 176;

    fn zero() -> Tile {
        Tile { q: [[0; 16 * LANES]; 8], high: [[0; 4 * LANES]; 8], scales: GroupScales::ZERO }
    }

    fn pack(tile: &mut Tile, lane: usize, stored: &[u8]) {
        tile.scales.pack(lane, stored);
        let (high, low) = stored[16..].split_at(32);
        for column in 0..256 {
            let (group, within) = (column / 32, column % 32);
            put_nibble(&mut tile.q[group], within, lane, stored_nibble(low, column));
            // ggml keeps the bits of one group in one bit of 32 bytes.
            let fifth = (high[within] >> group) & 1;
            let (byte, bit) = high_of(within, lane);
            tile.high[group][byte] |= fifth << bit;
        }
    }

    fn unpack(tile: &Tile, lane: usize, out: &mut [f32]) {
        for (column, out) in out.iter_mut().enumerate() {
            let (group, within) = (column / 32, column % 32);
            let (byte, bit) = high_of(within, lane);
            let fifth = (tile.high[group][byte] >> bit) & 1;
            let q = get_nibble(&tile.q[group], within, lane) | fifth << 4;
            *out = tile.scales.weight(group, lane, q);
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
            let (nibble, fifth) = (S::splat_int(0x0f0f_0f0f), S::splat_int(0x1010_1010));
            for group in 0..8 {
                let block = |r: usize| &*rows.add(r * row_stride + group);
                let mut ints = [[S::splat_int(0); T]; R];
                let mut high = [S::splat_int(0); T];
                for t in 0..T {
                    let line = tile(t).high[group].as_ptr();
                    prefetch_ahead::<S, R>(line);
                    high[t] = S::load_bytes(line);
                }
                for eight in 0..4 {
                    let (mut first, mut last) = ([S::splat_int(0); T], [S::splat_int(0); T]);
                    for t in 0..T {
                        let line = tile(t).q[group].as_ptr().add(eight * 64);
                        prefetch_ahead::<S, R>(line);
                        let bytes = S::load_bytes(line);
                        // The bits wanted now stand lowest in each byte.
                        let bit = S::and(S::shift_left::<4>(high[t]), fifth);
                        first[t] = S::or(S::and(bytes, nibble), bit);
                        let bit = S::and(S::shift_left::<3>(high[t]), fifth);
                        last[t] = S::or(S::and(S::shift_right::<4>(bytes), nibble), bit);
                        high[t] = S::shift_right::<2>(high[t]);
                    }
                    for r in 0..R {
                        let row = block(r).q.as_ptr().add(eight * 8);
                        let (low, up) = (S::splat_four(row), S::splat_four(row.add(4)));
                        for t in 0..T {
                            let sum = S::dot_small(ints[r][t], first[t], low);
                            ints[r][t] = S::dot_small(sum, last[t], up);
                        }
                    }
                }
                for t in 0..T {
                    tile(t).scales.add::<S, R, T>(t, group, &ints, block, sums);
                }
            }
        }
    }
}
