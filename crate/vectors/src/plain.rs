//! Vectors without instructions of their own: for CPUs that have no path, and as what the others are compared with.

use super::quads::Quads;
use super::vector::{HALF_UNIT, Vector};

/// Four lanes of plain arithmetic.
#[derive(Clone, Copy)]
pub(super) struct Plain;

#[inline(always)]
fn each<T: Copy, U>(a: [T; 4], b: [T; 4], f: impl Fn(T, T) -> U) -> [U; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

/// The two halves of a word.
#[inline(always)]
fn split(v: u32) -> [i16; 2] {
    [v as i16, (v >> 16) as i16]
}

#[inline(always)]
fn join(v: [i16; 2]) -> u32 {
    u32::from(v[0] as u16) | u32::from(v[1] as u16) << 16
}

impl Vector for Plain {
    const LANES: usize = 4;
    const PAIRS: bool = false;
    const HALVES_UNIT: f32 = HALF_UNIT;
    type F = [f32; 4];
    type I = [u32; 4];

    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; 4] {
        // SAFETY: the caller's.
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; 4]) {
        // SAFETY: the caller's.
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_words(p: *const u32) -> [u32; 4] {
        // SAFETY: the caller's.
        unsafe { p.cast::<[u32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store_words(p: *mut u32, v: [u32; 4]) {
        // SAFETY: the caller's.
        unsafe { p.cast::<[u32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    fn splat(v: f32) -> [f32; 4] {
        [v; 4]
    }
    #[inline(always)]
    fn splat_words(v: u32) -> [u32; 4] {
        [v; 4]
    }
    #[inline(always)]
    fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn min(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        each(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn mul_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        Self::add(Self::mul(a, b), c)
    }
    #[inline(always)]
    fn and(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        each(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn or(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        each(a, b, |a, b| a | b)
    }
    #[inline(always)]
    fn add_words(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        each(a, b, u32::wrapping_add)
    }
    #[inline(always)]
    fn max_words(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        each(a, b, |a, b| (a as i32).max(b as i32) as u32)
    }
    #[inline(always)]
    fn shl<const N: u32>(a: [u32; 4]) -> [u32; 4] {
        a.map(|a| a << N)
    }
    #[inline(always)]
    fn shr<const N: u32>(a: [u32; 4]) -> [u32; 4] {
        a.map(|a| a >> N)
    }
    #[inline(always)]
    fn shl_halves<const N: u32>(a: [u32; 4]) -> [u32; 4] {
        a.map(|a| join(split(a).map(|h| h << N)))
    }
    #[inline(always)]
    fn shr_halves<const N: u32>(a: [u32; 4]) -> [u32; 4] {
        a.map(|a| join(split(a).map(|h| (h as u16 >> N) as i16)))
    }
    #[inline(always)]
    fn sar_halves<const N: u32>(a: [u32; 4]) -> [u32; 4] {
        a.map(|a| join(split(a).map(|h| h >> N)))
    }
    #[inline(always)]
    fn lookup(table: [u32; 4], i: [u32; 4]) -> [u32; 4] {
        let byte = |i: u8| table[usize::from(i) / 4].to_le_bytes()[usize::from(i) % 4];
        i.map(|i| u32::from_le_bytes(i.to_le_bytes().map(byte)))
    }
    #[inline(always)]
    fn dot(sum: [u32; 4], a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        let products = each(a, b, |a, b| {
            let ([a, c], [b, d]) = (split(a), split(b));
            (i32::from(a) * i32::from(b)).wrapping_add(i32::from(c) * i32::from(d)) as u32
        });
        Self::add_words(sum, products)
    }
    #[inline(always)]
    fn fold(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        Self::add_words(a, b)
    }
    #[inline(always)]
    fn to_float(a: [u32; 4]) -> [f32; 4] {
        a.map(|a| a as i32 as f32)
    }
    #[inline(always)]
    fn round(a: [f32; 4]) -> [u32; 4] {
        a.map(|a| a.round_ties_even() as i32 as u32)
    }
    #[inline(always)]
    fn bits(a: [f32; 4]) -> [u32; 4] {
        a.map(f32::to_bits)
    }
    #[inline(always)]
    fn of_bits(a: [u32; 4]) -> [f32; 4] {
        a.map(f32::from_bits)
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> [f32; 4] {
        // SAFETY: the caller's.
        let v = unsafe { p.cast::<[i16; 4]>().read_unaligned() };
        v.map(|v| f32::from_bits((i32::from(v) as u32) << 13 & 0x8FFF_E000))
    }
    #[inline(always)]
    unsafe fn halves(p: *const u16) -> [f32; 4] {
        // SAFETY: the caller's.
        let v = i32::from(unsafe { p.read_unaligned() } as i16) as u32;
        [f32::from_bits(v << 13 & 0x8FFF_E000); 4]
    }
    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> [u32; 4] {
        // SAFETY: the caller's.
        [u32::from(unsafe { p.read() }); 4]
    }
    #[inline(always)]
    fn sums(v: [[f32; 4]; 4]) -> [f32; 4] {
        v.map(|v| (v[0] + v[2]) + (v[1] + v[3]))
    }
}

impl Quads for Plain {
    #[inline(always)]
    fn sub_words(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        each(a, b, u32::wrapping_sub)
    }
    #[inline(always)]
    fn narrow(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        Self::lower(a, b)
    }
    #[inline(always)]
    fn lower(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        let two = |v: [u32; 4], i: usize| join([split(v[i])[0], split(v[i + 1])[0]]);
        [two(a, 0), two(a, 2), two(b, 0), two(b, 2)]
    }
    #[inline(always)]
    fn upper(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        let two = |v: [u32; 4], i: usize| join([split(v[i])[1], split(v[i + 1])[1]]);
        [two(a, 0), two(a, 2), two(b, 0), two(b, 2)]
    }
    #[inline(always)]
    fn zip_low(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        [a[0], b[0], a[1], b[1]]
    }
    #[inline(always)]
    fn zip_high(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        [a[2], b[2], a[3], b[3]]
    }
    #[inline(always)]
    fn join_low(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        [a[0], a[1], b[0], b[1]]
    }
    #[inline(always)]
    fn join_high(a: [u32; 4], b: [u32; 4]) -> [u32; 4] {
        [a[2], a[3], b[2], b[3]]
    }
    #[inline(always)]
    unsafe fn four_halves(p: [*const u16; 4]) -> [f32; 4] {
        // SAFETY: the caller's.
        p.map(|p| unsafe { Self::halves(p) }[0])
    }
    #[inline(always)]
    unsafe fn gather(p: [*const u32; 4]) -> [u32; 4] {
        // SAFETY: the caller's.
        p.map(|p| unsafe { p.read_unaligned() })
    }
    #[inline(always)]
    fn upper_halves(a: [u32; 4]) -> [f32; 4] {
        a.map(|a| f32::from_bits(((a as i32 >> 3) as u32) & 0x8FFF_E000))
    }
    #[inline(always)]
    unsafe fn splat_at(p: *const u32) -> [u32; 4] {
        // SAFETY: the caller's.
        [unsafe { p.read_unaligned() }; 4]
    }
}
