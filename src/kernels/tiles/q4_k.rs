//! Four bits in blocks of 256 columns (ggml's Q4_K; see [`GroupScales`]).

use super::super::activations::Block;
use super::super::simd::{LANES, Simd};
use super::group_scales::{GroupScales, stored_nibble};
use super::q4::add_nibbles;
use super::{Format, get_nibble, put_nibble};

/// One block.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Tile {
    q: [[u8; 16 * LANES]; 8],
    scales: GroupScales,
}

/// ggml's Q4_K.
#[derive(Debug)]
pub(in super::super) struct Q4K;

impl Format for Q4K {
    type Tile = Tile;
    type Input = Block;

    const COLUMNS: usize = 256;
    const INPUTS: usize = 8;
    const STORED_BYTES: usize = 144;

    fn zero() -> Tile {
        Tile { q: [[0; 16 * LANES]; 8], scales: GroupScales::ZERO }
    }

    fn pack(tile: &mut Tile, lane: usize, stored: &[u8]) {
        tile.scales.pack(lane, stored);
        for column in 0..256 {
            let value = stored_nibble(&stored[16..], column);
            put_nibble(&mut tile.q[column / 32], column % 32, lane, value);
        }
    }

    fn unpack(tile: &Tile, lane: usize, out: &mut [f32]) {
        for (column, out) in out.iter_mut().enumerate() {
            let group = column / 32;
            *out = tile.scales.weight(group, lane, get_nibble(&tile.q[group], column % 32, lane));
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
            for group in 0..8 {
                let block = |r: usize| &*rows.add(r * row_stride + group);
                let mut ints = [[S::splat_int(0); T]; R];
                let (line, row) =
                    (|t: usize| tile(t).q[group].as_ptr(), |r: usize| block(r).q.as_ptr());
                add_nibbles::<S, R, T>(line, row, &mut ints);
                for t in 0..T {
                    tile(t).scales.add::<S, R, T>(t, group, &ints, block, sums);
                }
            }
        }
    }
}
