//! Sixteen lanes of 32 bits, the one width in which every kernel is written, and the
//! instruction sets that carry them.
//!
//! Invariant: an operation gives the same bits on every instruction set (sums and
//! products are fused or not alike, reductions take the same order), so a kernel
//! does too.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use std::sync::OnceLock;

/// Lanes of one vector, rows of one weight tile, and what rows are padded to.
pub(crate) const LANES: usize = 16;

/// Operations on sixteen lanes.
///
/// # Safety
/// Of all methods: the instruction set is there (code runs inside [`Isa::run`]), and
/// pointers are valid for what is read or written. None needs alignment.
pub(super) trait Simd: Copy {
    /// Sixteen `f32`.
    type F: Copy;
    /// Sixteen `i32`, or sixty-four bytes.
    type I: Copy;

    /// The largest block of rows and weight tiles whose sums stay in registers.
    const MAX_ROWS: usize;
    const MAX_TILES: usize;

    unsafe fn splat(value: f32) -> Self::F;
    unsafe fn load(from: *const f32) -> Self::F;
    unsafe fn load_f16(from: *const u16) -> Self::F;
    unsafe fn load_bf16(from: *const u16) -> Self::F;
    unsafe fn load_u8(from: *const u8) -> Self::F;
    unsafe fn load_i8(from: *const i8) -> Self::F;
    unsafe fn store(to: *mut f32, lanes: Self::F);
    /// Rounds to nearest, ties to even.
    unsafe fn store_f16(to: *mut u16, lanes: Self::F);
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, rounded once.
    unsafe fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger; neither is NaN.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    /// The smaller; neither is NaN.
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn abs(a: Self::F) -> Self::F;
    /// `value` where `key >= limit`, else 0.
    unsafe fn keep_from(value: Self::F, key: Self::F, limit: Self::F) -> Self::F;
    /// Halves onto each other, four times.
    unsafe fn reduce_add(a: Self::F) -> f32;
    unsafe fn reduce_max(a: Self::F) -> f32;

    unsafe fn splat_int(value: i32) -> Self::I;
    unsafe fn load_bytes(from: *const u8) -> Self::I;
    /// The same four bytes in every lane.
    unsafe fn splat_four(from: *const i8) -> Self::I;
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn shift_right<const N: i32>(a: Self::I) -> Self::I;
    unsafe fn shift_left<const N: i32>(a: Self::I) -> Self::I;
    unsafe fn add_int(a: Self::I, b: Self::I) -> Self::I;
    /// `sums` plus each lane's four products of unsigned weights and signed rows.
    unsafe fn dot(sums: Self::I, weights: Self::I, rows: Self::I) -> Self::I;
    /// As [`Simd::dot`], for weights up to 127.
    unsafe fn dot_small(sums: Self::I, weights: Self::I, rows: Self::I) -> Self::I;
    unsafe fn to_float(a: Self::I) -> Self::F;
    /// Rounds to nearest, ties to even; lanes fit an `i32`.
    unsafe fn round(a: Self::F) -> Self::I;
    unsafe fn bits_to_float(a: Self::I) -> Self::F;
    /// Lanes lie within an `i8`.
    unsafe fn store_i8(to: *mut i8, lanes: Self::I);
    unsafe fn reduce_add_int(a: Self::I) -> i32;
    /// Asks for a cache line ahead of its use; any address will do.
    unsafe fn prefetch(from: *const u8);
}

/// Work that is written once for all instruction sets.
pub(super) trait Kernel {
    /// What it gives back.
    type Output;

    /// Does the work; `#[inline(always)]`, so that it is compiled for `S`.
    ///
    /// # Safety
    /// `S` is there.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// An instruction set that this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Isa(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Isa {
    /// The best that this machine has.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::all()[0])
    }

    /// All that this machine has, the best first.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vnni");
            if has_avx512 && has_avx2 {
                all.push(Self(Kind::Avx512));
            }
            if has_avx2 {
                all.push(Self(Kind::Avx2));
            }
        }
        all.push(Self(Kind::Portable));
        all
    }

    /// Its name, for people.
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512 VNNI",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            Kind::Portable => "portable",
        }
    }

    /// Runs a kernel on it.
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: an `Isa` is made in `all` alone, which asks the processor first.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => avx512::enter(kernel),
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => avx2::enter(kernel),
                Kind::Portable => kernel.run::<portable::Portable>(),
            }
        }
    }

    /// The largest block of rows and of weight tiles that a kernel takes at once.
    pub(super) fn max_block(self) -> (usize, usize) {
        fn of<S: Simd>() -> (usize, usize) {
            (S::MAX_ROWS, S::MAX_TILES)
        }
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => of::<avx512::Avx512>(),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => of::<avx2::Avx2>(),
            Kind::Portable => of::<portable::Portable>(),
        }
    }
}

/// `e^x` to about one unit in the last place but two; 0 below −87, where the result
/// would leave the normal numbers. Range reduction by ln 2 in two parts, then a
/// polynomial of degree six (Cephes' coefficients).
#[inline(always)]
pub(super) unsafe fn exp<S: Simd>(x: S::F) -> S::F {
    unsafe {
        let limit = S::splat(-87.0);
        let clamped = S::min(S::max(x, limit), S::splat(88.0));
        let n = S::round(S::mul(clamped, S::splat(std::f32::consts::LOG2_E)));
        let whole = S::to_float(n);
        let r = S::mul_add(whole, S::splat(-0.693_359_375), clamped);
        let r = S::mul_add(whole, S::splat(2.121_944_4e-4), r);
        let mut p = S::splat(1.987_569_1e-4);
        for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = S::mul_add(p, r, S::splat(coefficient));
        }
        let p = S::add(S::mul_add(p, S::mul(r, r), r), S::splat(1.0));
        let power = S::bits_to_float(S::shift_left::<23>(S::add_int(n, S::splat_int(127))));
        S::keep_from(S::mul(p, power), x, limit)
    }
}
