//! Vectors of x86: AVX2, and AVX-512 with VNNI.

use core::arch::x86_64::*;

use super::vector::Vector;

/// Eight lanes of AVX2, with FMA and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// Sixteen lanes of AVX-512 (F, BW, DQ, VL) with VNNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512;

// Closures would be functions of their own, without the features of whoever calls: there are none that handle vectors.

/// Sums of the four lanes of each, in one vector.
#[inline(always)]
fn quarter_sums([a, b, c, d]: [__m128; 4]) -> [f32; 4] {
    // SAFETY: whoever has AVX2 has SSE.
    unsafe {
        let ab = _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b)); // a0+a2, b0+b2, a1+a3, b1+b3
        let cd = _mm_add_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
        let v = _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
        core::mem::transmute::<__m128, [f32; 4]>(v)
    }
}

/// Sums of the halves.
#[inline(always)]
fn half_8(v: __m256) -> __m128 {
    // SAFETY: whoever calls has AVX.
    unsafe { _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v)) }
}

/// The same.
#[inline(always)]
fn half_16(v: __m512) -> __m256 {
    // SAFETY: whoever calls has AVX-512.
    unsafe { _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps::<1>(v)) }
}

/// Operations that are one instruction: name, arguments, result, instruction.
macro_rules! one {
    ($($name:ident($($a:ident: $t:ty),*) -> $r:ty = $code:expr;)*) => {
        $(#[inline(always)]
        fn $name($($a: $t),*) -> $r {
            // SAFETY: whoever uses this type has its instructions.
            unsafe { $code }
        })*
    };
}

impl Vector for Avx2 {
    const LANES: usize = 8;
    const PAIRS: bool = false;
    const HALVES_UNIT: f32 = 1.0;
    type F = __m256;
    type I = __m256i;

    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        // SAFETY: the caller's.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        // SAFETY: the caller's.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_words(p: *const u32) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_loadu_si256(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store_words(p: *mut u32, v: __m256i) {
        // SAFETY: the caller's.
        unsafe { _mm256_storeu_si256(p.cast(), v) }
    }
    one! {
        splat(v: f32) -> __m256 = _mm256_set1_ps(v);
        splat_words(v: u32) -> __m256i = _mm256_set1_epi32(v as i32);
        add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        div(a: __m256, b: __m256) -> __m256 = _mm256_div_ps(a, b);
        min(a: __m256, b: __m256) -> __m256 = _mm256_min_ps(a, b);
        max(a: __m256, b: __m256) -> __m256 = _mm256_max_ps(a, b);
        mul_add(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        and(a: __m256i, b: __m256i) -> __m256i = _mm256_and_si256(a, b);
        or(a: __m256i, b: __m256i) -> __m256i = _mm256_or_si256(a, b);
        add_words(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi32(a, b);
        max_words(a: __m256i, b: __m256i) -> __m256i = _mm256_max_epi32(a, b);
        lookup(table: __m256i, i: __m256i) -> __m256i = _mm256_shuffle_epi8(table, i);
        dot(sum: __m256i, a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
        fold(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi32(
            _mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b));
        to_float(a: __m256i) -> __m256 = _mm256_cvtepi32_ps(a);
        round(a: __m256) -> __m256i = _mm256_cvtps_epi32(a);
        bits(a: __m256) -> __m256i = _mm256_castps_si256(a);
        of_bits(a: __m256i) -> __m256 = _mm256_castsi256_ps(a);
    }
    #[inline(always)]
    fn shl<const N: u32>(a: __m256i) -> __m256i {
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm256_sll_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn shr<const N: u32>(a: __m256i) -> __m256i {
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm256_srl_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn shl_halves<const N: u32>(a: __m256i) -> __m256i {
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm256_sll_epi16(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn shr_halves<const N: u32>(a: __m256i) -> __m256i {
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm256_srl_epi16(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn sar_halves<const N: u32>(a: __m256i) -> __m256i {
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm256_sra_epi16(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> __m256 {
        // SAFETY: the caller's.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(p.cast())) }
    }
    #[inline(always)]
    unsafe fn halves(p: *const u16) -> __m256 {
        // SAFETY: the caller's.
        unsafe {
            let two = _mm_cvtph_ps(_mm_cvtsi32_si128(p.cast::<i32>().read_unaligned()));
            _mm256_permutevar8x32_ps(_mm256_castps128_ps256(two), _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1))
        }
    }
    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> __m256i {
        // SAFETY: the caller's.
        let [a, b] = unsafe { p.cast::<[u8; 2]>().read() }.map(i32::from);
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm256_setr_epi32(a, a, a, a, b, b, b, b) }
    }
    #[inline(always)]
    fn sums(v: [__m256; 4]) -> [f32; 4] {
        let [a, b, c, d] = v;
        quarter_sums([half_8(a), half_8(b), half_8(c), half_8(d)])
    }
}

impl Vector for Avx512 {
    const LANES: usize = 16;
    const PAIRS: bool = true;
    const HALVES_UNIT: f32 = 1.0;
    type F = __m512;
    type I = __m512i;

    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        // SAFETY: the caller's.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        // SAFETY: the caller's.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_words(p: *const u32) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn store_words(p: *mut u32, v: __m512i) {
        // SAFETY: the caller's.
        unsafe { _mm512_storeu_si512(p.cast(), v) }
    }
    one! {
        splat(v: f32) -> __m512 = _mm512_set1_ps(v);
        splat_words(v: u32) -> __m512i = _mm512_set1_epi32(v as i32);
        add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        div(a: __m512, b: __m512) -> __m512 = _mm512_div_ps(a, b);
        min(a: __m512, b: __m512) -> __m512 = _mm512_min_ps(a, b);
        max(a: __m512, b: __m512) -> __m512 = _mm512_max_ps(a, b);
        mul_add(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        and(a: __m512i, b: __m512i) -> __m512i = _mm512_and_si512(a, b);
        or(a: __m512i, b: __m512i) -> __m512i = _mm512_or_si512(a, b);
        add_words(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi32(a, b);
        max_words(a: __m512i, b: __m512i) -> __m512i = _mm512_max_epi32(a, b);
        lookup(table: __m512i, i: __m512i) -> __m512i = _mm512_shuffle_epi8(table, i);
        dot(sum: __m512i, a: __m512i, b: __m512i) -> __m512i = _mm512_dpwssd_epi32(sum, a, b);
        fold(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi32(
            _mm512_shuffle_i64x2::<0b10_00_10_00>(a, b), _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b));
        to_float(a: __m512i) -> __m512 = _mm512_cvtepi32_ps(a);
        round(a: __m512) -> __m512i = _mm512_cvtps_epi32(a);
        bits(a: __m512) -> __m512i = _mm512_castps_si512(a);
        of_bits(a: __m512i) -> __m512 = _mm512_castsi512_ps(a);
    }
    #[inline(always)]
    fn shl<const N: u32>(a: __m512i) -> __m512i {
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm512_sll_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn shr<const N: u32>(a: __m512i) -> __m512i {
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm512_srl_epi32(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn shl_halves<const N: u32>(a: __m512i) -> __m512i {
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm512_sll_epi16(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn shr_halves<const N: u32>(a: __m512i) -> __m512i {
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm512_srl_epi16(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    fn sar_halves<const N: u32>(a: __m512i) -> __m512i {
        // SAFETY: whoever uses this type has its instructions.
        unsafe { _mm512_sra_epi16(a, _mm_cvtsi32_si128(N as i32)) }
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u16) -> __m512 {
        // SAFETY: the caller's.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())) }
    }
    #[inline(always)]
    unsafe fn halves(p: *const u16) -> __m512 {
        // SAFETY: the caller's.
        unsafe {
            let four = _mm_cvtph_ps(_mm_loadl_epi64(p.cast()));
            let quarters = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
            _mm512_permutexvar_ps(quarters, _mm512_castps128_ps512(four))
        }
    }
    #[inline(always)]
    unsafe fn bytes(p: *const u8) -> __m512i {
        // SAFETY: the caller's.
        unsafe {
            let four = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(p.cast::<i32>().read_unaligned()));
            let quarters = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
            _mm512_permutexvar_epi32(quarters, _mm512_castsi128_si512(four))
        }
    }
    #[inline(always)]
    fn sums(v: [__m512; 4]) -> [f32; 4] {
        let [a, b, c, d] = v;
        quarter_sums([half_8(half_16(a)), half_8(half_16(b)), half_8(half_16(c)), half_8(half_16(d))])
    }
}
