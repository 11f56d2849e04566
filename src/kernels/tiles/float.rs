//! Weights as floats of 32 or 16 bits, multiplied with rows of floats.

use super::super::simd::{LANES, Simd};
use super::{Format, half_at, half_to_f32};

/// 32-bit floats.
#[derive(Debug)]
pub(in super::super) struct F32;

/// IEEE half precision.
#[derive(Debug)]
pub(in super::super) struct F16;

/// The upper halves of 32-bit floats.
#[derive(Debug)]
pub(in super::super) struct Bf16;

macro_rules! format {
    ($name:ident, $scalar:ty, $load:ident, $read:expr, $to_f32:expr) => {
        impl Format for $name {
            type Tile = [$scalar; LANES];
            type Input = f32;

            const COLUMNS: usize = 1;
            const INPUTS: usize = 1;
            const STORED_BYTES: usize = size_of::<$scalar>();

            fn zero() -> Self::Tile {
                [<$scalar>::default(); LANES]
            }

            fn pack(tile: &mut Self::Tile, lane: usize, stored: &[u8]) {
                tile[lane] = $read(stored);
            }

            fn unpack(tile: &Self::Tile, lane: usize, out: &mut [f32]) {
                out[0] = $to_f32(tile[lane]);
            }

            #[inline(always)]
            unsafe fn add_products<S: Simd, const R: usize, const T: usize>(
                tiles: *const Self::Tile,
                rows: *const f32,
                row_stride: usize,
                sums: &mut [[S::F; T]; R],
            ) {
                unsafe {
                    let mut weights = [S::splat(0.0); T];
                    for t in 0..T {
                        weights[t] = S::$load(tiles.add(t).cast());
                    }
                    for r in 0..R {
                        let row = S::splat(*rows.add(r * row_stride));
                        for t in 0..T {
                            sums[r][t] = S::mul_add(weights[t], row, sums[r][t]);
                        }
                    }
                }
            }
        }
    };
}

fn float_at(stored: &[u8]) -> f32 {
    f32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]])
}

fn bits_at(stored: &[u8]) -> u16 {
    half_at(stored, 0)
}

format!(F32, f32, load, float_at, f32::from);
format!(F16, u16, load_f16, bits_at, half_to_f32);
format!(Bf16, u16, load_bf16, bits_at, |bits: u16| f32::from_bits(u32::from(bits) << 16));
