//! The scales and minima that Q4_K and Q5_K have in common: six bits each for every
//! group of 32 columns, times two halves for the whole block (`w = d · s · q − dmin · m`).

use super::super::activations::Block;
use super::super::simd::{LANES, Simd};
use super::{half_at, half_to_f32};

/// Of one tile: sixteen rows of eight groups.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct GroupScales {
    scales: [[u8; LANES]; 8],
    minima: [[u8; LANES]; 8],
    d: [u16; LANES],
    dmin: [u16; LANES],
}

impl GroupScales {
    pub(super) const ZERO: Self =
        Self { scales: [[0; LANES]; 8], minima: [[0; LANES]; 8], d: [0; LANES], dmin: [0; LANES] };

    /// Takes one row's from the first sixteen bytes of its stored block.
    pub(super) fn pack(&mut self, lane: usize, stored: &[u8]) {
        (self.d[lane], self.dmin[lane]) = (half_at(stored, 0), half_at(stored, 2));
        for group in 0..8 {
            (self.scales[group][lane], self.minima[group][lane]) = six_bits(&stored[4..16], group);
        }
    }

    /// What `q` stands for in a group of a row.
    pub(super) fn weight(&self, group: usize, lane: usize, q: u8) -> f32 {
        let scale = half_to_f32(self.d[lane]) * f32::from(self.scales[group][lane]);
        let minimum = half_to_f32(self.dmin[lane]) * f32::from(self.minima[group][lane]);
        scale * f32::from(q) - minimum
    }

    /// Adds `(d · s · ints − dmin · m · Σx) · x_scale` of one group of tile `t`.
    #[inline(always)]
    pub(super) unsafe fn add<'a, S: Simd, const R: usize, const T: usize>(
        &self,
        t: usize,
        group: usize,
        ints: &[[S::I; T]; R],
        block: impl Fn(usize) -> &'a Block,
        sums: &mut [[S::F; T]; R],
    ) {
        unsafe {
            let (d, dmin) = (S::load_f16(self.d.as_ptr()), S::load_f16(self.dmin.as_ptr()));
            let scale = S::mul(d, S::load_u8(self.scales[group].as_ptr()));
            let minimum = S::mul(dmin, S::load_u8(self.minima[group].as_ptr()));
            let minimum = S::sub(S::splat(0.0), minimum);
            for r in 0..R {
                let shift = S::mul(minimum, S::splat(block(r).sum() as f32));
                let product = S::mul_add(S::to_float(ints[r][t]), scale, shift);
                sums[r][t] = S::mul_add(product, S::splat(block(r).scale), sums[r][t]);
            }
        }
    }
}

/// The scale and the minimum of a group, from ggml's twelve packed bytes.
fn six_bits(packed: &[u8], group: usize) -> (u8, u8) {
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
