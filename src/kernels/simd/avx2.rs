//! Sixteen lanes in two registers: AVX2 with FMA and F16C (Haswell, Zen and later).

use std::arch::x86_64::*;

use super::{Kernel, Simd};

/// AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub(super) struct Avx2;

/// Runs a kernel with these instructions.
///
/// # Safety
/// The processor has them.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn enter<K: Kernel>(kernel: K) -> K::Output {
    unsafe { kernel.run::<Avx2>() }
}

/// The sum of eight lanes: halves onto each other.
#[inline(always)]
pub(super) unsafe fn reduce_add_half(a: __m256) -> f32 {
    unsafe {
        let a = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let a = _mm_add_ps(a, _mm_movehl_ps(a, a));
        _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps::<1>(a, a)))
    }
}

macro_rules! both {
    ($f:ident($($a:expr),+)) => {
        unsafe { [$f($($a[0]),+), $f($($a[1]),+)] }
    };
}

impl Simd for Avx2 {
    type F = [__m256; 2];
    type I = [__m256i; 2];

    const MAX_ROWS: usize = 2;
    const MAX_TILES: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::F {
        unsafe { [_mm256_set1_ps(value); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::F {
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self::F {
        unsafe {
            let eight = |from: *const u16| _mm256_cvtph_ps(_mm_loadu_si128(from.cast()));
            [eight(from), eight(from.add(8))]
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self::F {
        unsafe {
            let eight = |from: *const u16| {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            };
            [eight(from), eight(from.add(8))]
        }
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> Self::F {
        unsafe {
            let eight = |from: *const u8| {
                _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())))
            };
            [eight(from), eight(from.add(8))]
        }
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self::F {
        unsafe {
            let eight = |from: *const i8| {
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast())))
            };
            [eight(from), eight(from.add(8))]
        }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, lanes: Self::F) {
        unsafe {
            _mm256_storeu_ps(to, lanes[0]);
            _mm256_storeu_ps(to.add(8), lanes[1]);
        }
    }
    #[inline(always)]
    unsafe fn store_f16(to: *mut u16, lanes: Self::F) {
        unsafe {
            let half = |lanes| _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(lanes);
            _mm_storeu_si128(to.cast(), half(lanes[0]));
            _mm_storeu_si128(to.add(8).cast(), half(lanes[1]));
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    unsafe fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        both!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_max_ps(a, b))
    }
    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_min_ps(a, b))
    }
    #[inline(always)]
    unsafe fn abs(a: Self::F) -> Self::F {
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            [_mm256_andnot_ps(sign, a[0]), _mm256_andnot_ps(sign, a[1])]
        }
    }
    #[inline(always)]
    unsafe fn keep_from(value: Self::F, key: Self::F, limit: Self::F) -> Self::F {
        unsafe {
            let keep = |i: usize| _mm256_cmp_ps::<_CMP_GE_OQ>(key[i], limit[i]);
            [_mm256_and_ps(keep(0), value[0]), _mm256_and_ps(keep(1), value[1])]
        }
    }
    #[inline(always)]
    unsafe fn reduce_add(a: Self::F) -> f32 {
        unsafe { reduce_add_half(_mm256_add_ps(a[0], a[1])) }
    }
    #[inline(always)]
    unsafe fn reduce_max(a: Self::F) -> f32 {
        unsafe {
            let a = _mm256_max_ps(a[0], a[1]);
            let a = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let a = _mm_max_ps(a, _mm_movehl_ps(a, a));
            _mm_cvtss_f32(_mm_max_ss(a, _mm_shuffle_ps::<1>(a, a)))
        }
    }
    #[inline(always)]
    unsafe fn splat_int(value: i32) -> Self::I {
        unsafe { [_mm256_set1_epi32(value); 2] }
    }
    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self::I {
        unsafe {
            let half = |from: *const u8| _mm256_loadu_si256(from.cast());
            [half(from), half(from.add(32))]
        }
    }
    #[inline(always)]
    unsafe fn splat_four(from: *const i8) -> Self::I {
        unsafe { [_mm256_set1_epi32(from.cast::<i32>().read_unaligned()); 2] }
    }
    #[inline(always)]
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I {
        both!(_mm256_and_si256(a, b))
    }
    #[inline(always)]
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I {
        both!(_mm256_or_si256(a, b))
    }
    #[inline(always)]
    unsafe fn shift_right<const N: i32>(a: Self::I) -> Self::I {
        unsafe { [_mm256_srli_epi32::<N>(a[0]), _mm256_srli_epi32::<N>(a[1])] }
    }
    #[inline(always)]
    unsafe fn shift_left<const N: i32>(a: Self::I) -> Self::I {
        unsafe { [_mm256_slli_epi32::<N>(a[0]), _mm256_slli_epi32::<N>(a[1])] }
    }
    #[inline(always)]
    unsafe fn add_int(a: Self::I, b: Self::I) -> Self::I {
        both!(_mm256_add_epi32(a, b))
    }
    #[inline(always)]
    unsafe fn dot(sums: Self::I, weights: Self::I, rows: Self::I) -> Self::I {
        // Products of two large bytes overflow the sums of `maddubs`: even and odd
        // bytes are widened and multiplied apart.
        unsafe {
            let low = _mm256_set1_epi16(0x00ff);
            let half = |i: usize| {
                let even = _mm256_madd_epi16(
                    _mm256_and_si256(weights[i], low),
                    _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(rows[i])),
                );
                let odd = _mm256_madd_epi16(
                    _mm256_srli_epi16::<8>(weights[i]),
                    _mm256_srai_epi16::<8>(rows[i]),
                );
                _mm256_add_epi32(sums[i], _mm256_add_epi32(even, odd))
            };
            [half(0), half(1)]
        }
    }
    #[inline(always)]
    unsafe fn dot_small(sums: Self::I, weights: Self::I, rows: Self::I) -> Self::I {
        unsafe {
            let ones = _mm256_set1_epi16(1);
            let half = |i: usize| {
                let pairs = _mm256_maddubs_epi16(weights[i], rows[i]);
                _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs, ones))
            };
            [half(0), half(1)]
        }
    }
    #[inline(always)]
    unsafe fn to_float(a: Self::I) -> Self::F {
        both!(_mm256_cvtepi32_ps(a))
    }
    #[inline(always)]
    unsafe fn round(a: Self::F) -> Self::I {
        both!(_mm256_cvtps_epi32(a))
    }
    #[inline(always)]
    unsafe fn bits_to_float(a: Self::I) -> Self::F {
        both!(_mm256_castsi256_ps(a))
    }
    #[inline(always)]
    unsafe fn store_i8(to: *mut i8, lanes: Self::I) {
        unsafe {
            // Packing works within 128-bit halves; the permutation puts them in order.
            let words = _mm256_packs_epi32(lanes[0], lanes[1]);
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packs_epi16(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            _mm_storeu_si128(to.cast(), bytes);
        }
    }
    #[inline(always)]
    unsafe fn reduce_add_int(a: Self::I) -> i32 {
        unsafe {
            let a = _mm256_add_epi32(a[0], a[1]);
            let a = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256::<1>(a));
            let a = _mm_add_epi32(a, _mm_shuffle_epi32::<0b01_00_11_10>(a));
            _mm_cvtsi128_si32(_mm_add_epi32(a, _mm_shuffle_epi32::<0b10_11_00_01>(a)))
        }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
    }
}
