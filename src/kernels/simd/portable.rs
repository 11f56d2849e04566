//! Sixteen lanes as arrays, for any processor. Compilers turn most of it into what
//! vectors the target has.

use super::Simd;

/// No special instructions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn each<T: Copy, U>(a: [T; 16], f: impl Fn(T) -> U) -> [U; 16] {
    a.map(f)
}

#[inline(always)]
fn both<T: Copy, U: Copy + Default>(a: [T; 16], b: [T; 16], f: impl Fn(T, T) -> U) -> [U; 16] {
    let mut out = [U::default(); 16];
    for i in 0..16 {
        out[i] = f(a[i], b[i]);
    }
    out
}

#[inline(always)]
fn fold<T: Copy>(mut a: [T; 16], f: impl Fn(T, T) -> T) -> T {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            a[i] = f(a[i], a[i + half]);
        }
    }
    a[0]
}

impl Simd for Portable {
    type F = [f32; 16];
    type I = [i32; 16];

    const MAX_ROWS: usize = 2;
    const MAX_TILES: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::F {
        [value; 16]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::F {
        unsafe { from.cast::<[f32; 16]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u16) -> Self::F {
        let bits = unsafe { from.cast::<[u16; 16]>().read_unaligned() };
        each(bits, |bits| half::f16::from_bits(bits).to_f32())
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self::F {
        let bits = unsafe { from.cast::<[u16; 16]>().read_unaligned() };
        each(bits, |bits| f32::from_bits(u32::from(bits) << 16))
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> Self::F {
        each(unsafe { from.cast::<[u8; 16]>().read_unaligned() }, f32::from)
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const i8) -> Self::F {
        each(unsafe { from.cast::<[i8; 16]>().read_unaligned() }, f32::from)
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, lanes: Self::F) {
        unsafe { to.cast::<[f32; 16]>().write_unaligned(lanes) }
    }
    #[inline(always)]
    unsafe fn store_f16(to: *mut u16, lanes: Self::F) {
        let bits = each(lanes, |x| half::f16::from_f32(x).to_bits());
        unsafe { to.cast::<[u16; 16]>().write_unaligned(bits) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn mul_add(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        let mut out = c;
        for i in 0..16 {
            out[i] = a[i].mul_add(b[i], c[i]);
        }
        out
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn abs(a: Self::F) -> Self::F {
        each(a, f32::abs)
    }
    #[inline(always)]
    unsafe fn keep_from(value: Self::F, key: Self::F, limit: Self::F) -> Self::F {
        let mut out = value;
        for i in 0..16 {
            out[i] = if key[i] >= limit[i] { value[i] } else { 0.0 };
        }
        out
    }
    #[inline(always)]
    unsafe fn reduce_add(a: Self::F) -> f32 {
        fold(a, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn reduce_max(a: Self::F) -> f32 {
        fold(a, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn splat_int(value: i32) -> Self::I {
        [value; 16]
    }
    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self::I {
        unsafe { from.cast::<[i32; 16]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn splat_four(from: *const i8) -> Self::I {
        [unsafe { from.cast::<i32>().read_unaligned() }; 16]
    }
    #[inline(always)]
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I {
        both(a, b, |a, b| a & b)
    }
    #[inline(always)]
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I {
        both(a, b, |a, b| a | b)
    }
    #[inline(always)]
    unsafe fn shift_right<const N: i32>(a: Self::I) -> Self::I {
        each(a, |a| (a.cast_unsigned() >> N).cast_signed())
    }
    #[inline(always)]
    unsafe fn shift_left<const N: i32>(a: Self::I) -> Self::I {
        each(a, |a| a << N)
    }
    #[inline(always)]
    unsafe fn add_int(a: Self::I, b: Self::I) -> Self::I {
        both(a, b, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn dot(mut sums: Self::I, weights: Self::I, rows: Self::I) -> Self::I {
        for i in 0..16 {
            let (w, x) = (weights[i].to_ne_bytes(), rows[i].to_ne_bytes());
            for j in 0..4 {
                sums[i] += i32::from(w[j]) * i32::from(x[j].cast_signed());
            }
        }
        sums
    }
    #[inline(always)]
    unsafe fn dot_small(sums: Self::I, weights: Self::I, rows: Self::I) -> Self::I {
        unsafe { Self::dot(sums, weights, rows) }
    }
    #[inline(always)]
    unsafe fn to_float(a: Self::I) -> Self::F {
        each(a, |a| a as f32)
    }
    #[inline(always)]
    unsafe fn round(a: Self::F) -> Self::I {
        each(a, |a| a.round_ties_even() as i32)
    }
    #[inline(always)]
    unsafe fn bits_to_float(a: Self::I) -> Self::F {
        each(a, |a| f32::from_bits(a.cast_unsigned()))
    }
    #[inline(always)]
    unsafe fn store_i8(to: *mut i8, lanes: Self::I) {
        unsafe { to.cast::<[i8; 16]>().write_unaligned(each(lanes, |a| a as i8)) }
    }
    #[inline(always)]
    unsafe fn reduce_add_int(a: Self::I) -> i32 {
        fold(a, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
}
