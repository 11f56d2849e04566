//! A key and a value on their way into the cache.

use super::super::simd::{Kernel, LANES, Simd};

/// Stores a key (transposed) and a value in half precision.
pub(super) struct StoreHead<'a> {
    pub(super) key: &'a [f32],
    pub(super) value: &'a [f32],
    pub(super) keys: *mut u16,
    pub(super) key_stride: usize,
    pub(super) values: &'a mut [u16],
}

impl Kernel for StoreHead<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // What half precision cannot hold is kept at its largest.
        let half = |from: &[f32]| {
            let mut wide = [0.0; LANES];
            wide[..from.len()].copy_from_slice(from);
            let mut bits = [0u16; LANES];
            unsafe {
                let limit = S::splat(65504.0);
                let x = S::max(S::load(wide.as_ptr()), S::splat(-65504.0));
                S::store_f16(bits.as_mut_ptr(), S::min(x, limit));
            }
            bits
        };
        for (index, (key, value)) in
            self.key.chunks(LANES).zip(self.value.chunks(LANES)).enumerate()
        {
            let at = index * LANES;
            for (lane, bits) in half(key)[..key.len()].iter().enumerate() {
                unsafe { *self.keys.add((at + lane) * self.key_stride) = *bits };
            }
            self.values[at..at + value.len()].copy_from_slice(&half(value)[..value.len()]);
        }
    }
}
