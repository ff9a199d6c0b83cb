//! Vectors of WebAssembly: SIMD128.

use core::arch::wasm32::*;

use super::quads::Quads;
use super::vector::{HALF_UNIT, Vector};

/// Four lanes of SIMD128.
#[derive(Clone, Copy)]
pub(super) struct Simd128;

impl Vector for Simd128 {
    const LANES: usize = 4;
    const PAIRS: bool = false;
    const HALVES_UNIT: f32 = HALF_UNIT;
    type F = v128;
    type I = v128;

    #[inline(always)]
    unsafe fn load(p: *const f32) -> v128 {
        // SAFETY: the caller's.
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: v128) {
        // SAFETY: the caller's.
        unsafe { v128_store(p.cast(), v) }
    }
    #[inline(always)]
    unsafe fn load_words(p: *const u32) -> v128 {
        // SAFETY: the caller's.
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store_words(p: *mut u32, v: v128) {
        // SAFETY: the caller's.
        unsafe { v128_store(p.cast(), v) }
    }
    #[inline(always)]
    fn splat(v: f32) -> v128 {
        f32x4_splat(v)
    }
    #[inline(always)]
    fn splat_words(v: u32) -> v128 {
        u32x4_splat(v)
    }
    #[inline(always)]
    fn add(a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    fn sub(a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }
    #[inline(always)]
    fn mul(a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    fn div(a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }
    #[inline(always)]
    fn min(a: v128, b: v128) -> v128 {
        f32x4_pmin(b, a)
    }
    #[inline(always)]
    fn max(a: v128, b: v128) -> v128 {
        f32x4_pmax(b, a)
    }
    #[inline(always)]
    fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }
    #[inline(always)]
    fn and(a: v128, b: v128) -> v128 {
        v128_and(a, b)
    }
    #[inline(always)]
    fn or(a: v128, b: v128) -> v128 {
        v128_or(a, b)
    }
    #[inline(always)]
    fn add_words(a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }
    #[inline(always)]
    fn max_words(a: v128, b: v128) -> v128 {
        i32x4_max(a, b)
    }
    #[inline(always)]
    fn shl<const N: u32>(a: v128) -> v128 {
        i32x4_shl(a, N)
    }
    #[inline(always)]
    fn shr<const N: u32>(a: v128) -> v128 {
        u32x4_shr(a, N)
    }
    #[inline(always)]
    fn shl_halves<const N: u32>(a: v128) -> v128 {
        i16x8_shl(a, N)
    }
    #[inline(always)]
    fn shr_halves<const N: u32>(a: v128) -> v128 {
        u16x8_shr(a, N)
    }
    #[inline(always)]
    fn sar_halves<const N: u32>(a: v128) -> v128 {
        i16x8_shr(a, N)
    }
    #[inline(always)]
    fn lookup(table: v128, i: v128) -> v128 {
        i8x16_swizzle(table, i)
    }
    #[inline(always)]
    fn dot(sum: v128, a: v128, b: v128) -> v128 {
        i32x4_add(sum, i32x4_dot_i16x8(a, b))
    }
    #[inline(always)]
    fn fold(a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }
    #[inline(always)]
    fn to_float(a: v128) -> v128 {
        f32x4_convert_i32x4(a)
    }
    #[inline(always)]
    fn round(a: v128) -> v128 {
        // A float of this size has no room for less than ones, and its bits end in as many as were added: two instructions, where a
        // browser needs eight to leave nothing undefined.
        let ones = f32x4_splat(12_582_912.0);
        i32x4_sub(f32x4_add(a, ones), ones)
    }
    #[inline(always)]
    fn bits(a: v128) -> v128 {
        a
    }
    #[inline(always)]
    fn of_bits(a: v128) -> v128 {
        a
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> v128 {
        // SAFETY: the caller's.
        let v = unsafe { i32x4_load_extend_i16x4(p.cast()) };
        v128_and(i32x4_shl(v, 13), u32x4_splat(0x8FFF_E000))
    }
    #[inline(always)]
    unsafe fn halves(p: *const u16) -> v128 {
        // SAFETY: the caller's.
        let v = unsafe { v128_load16_splat(p) };
        // The upper half of a lane is the float, so that its sign fills what is shifted in.
        v128_and(i32x4_shr(v, 3), u32x4_splat(0x8FFF_E000))
    }
    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> v128 {
        // SAFETY: the caller's.
        u32x4_splat(u32::from(unsafe { p.read() }))
    }
    #[inline(always)]
    fn sums([a, b, c, d]: [v128; 4]) -> [f32; 4] {
        let low = i32x4_shuffle::<0, 4, 1, 5>(a, b);
        let high = i32x4_shuffle::<2, 6, 3, 7>(a, b);
        let ab = f32x4_add(low, high); // a0+a2, b0+b2, a1+a3, b1+b3
        let cd = f32x4_add(i32x4_shuffle::<0, 4, 1, 5>(c, d), i32x4_shuffle::<2, 6, 3, 7>(c, d));
        let v = f32x4_add(i32x4_shuffle::<0, 1, 4, 5>(ab, cd), i32x4_shuffle::<2, 3, 6, 7>(ab, cd));
        [f32x4_extract_lane::<0>(v), f32x4_extract_lane::<1>(v), f32x4_extract_lane::<2>(v), f32x4_extract_lane::<3>(v)]
    }
}

impl Quads for Simd128 {
    #[inline(always)]
    fn sub_words(a: v128, b: v128) -> v128 {
        i32x4_sub(a, b)
    }
    #[inline(always)]
    fn narrow(a: v128, b: v128) -> v128 {
        i16x8_narrow_i32x4(a, b)
    }
    #[inline(always)]
    fn lower(a: v128, b: v128) -> v128 {
        // A shuffle of two vectors would be two, and constants for them.
        i16x8_narrow_i32x4(i32x4_shr(i32x4_shl(a, 16), 16), i32x4_shr(i32x4_shl(b, 16), 16))
    }
    #[inline(always)]
    fn upper(a: v128, b: v128) -> v128 {
        i16x8_narrow_i32x4(i32x4_shr(a, 16), i32x4_shr(b, 16))
    }
    #[inline(always)]
    fn zip_low(a: v128, b: v128) -> v128 {
        i32x4_shuffle::<0, 4, 1, 5>(a, b)
    }
    #[inline(always)]
    fn zip_high(a: v128, b: v128) -> v128 {
        i32x4_shuffle::<2, 6, 3, 7>(a, b)
    }
    #[inline(always)]
    fn join_low(a: v128, b: v128) -> v128 {
        i64x2_shuffle::<0, 2>(a, b)
    }
    #[inline(always)]
    fn join_high(a: v128, b: v128) -> v128 {
        i64x2_shuffle::<1, 3>(a, b)
    }
    #[inline(always)]
    unsafe fn four_halves([a, b, c, d]: [*const u16; 4]) -> v128 {
        // Upper halves of lanes, as in `halves`.
        // SAFETY: the caller's.
        let v = unsafe {
            let v = v128_load16_lane::<1>(u32x4_splat(0), a);
            let v = v128_load16_lane::<3>(v, b);
            let v = v128_load16_lane::<5>(v, c);
            v128_load16_lane::<7>(v, d)
        };
        Self::upper_halves(v)
    }
    #[inline(always)]
    unsafe fn gather([a, b, c, d]: [*const u32; 4]) -> v128 {
        // SAFETY: the caller's.
        unsafe {
            let v = v128_load32_zero(a);
            let v = v128_load32_lane::<1>(v, b);
            let v = v128_load32_lane::<2>(v, c);
            v128_load32_lane::<3>(v, d)
        }
    }
    #[inline(always)]
    fn upper_halves(a: v128) -> v128 {
        v128_and(i32x4_shr(a, 3), u32x4_splat(0x8FFF_E000))
    }
    #[inline(always)]
    unsafe fn splat_at(p: *const u32) -> v128 {
        // SAFETY: the caller's.
        unsafe { v128_load32_splat(p) }
    }
}
