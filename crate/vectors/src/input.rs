//! Inputs of fast products: normed where that is asked, and laid out as the units of a format want them.
//!
//! A unit of an input for whole-number weights is six vectors: four of pairs of 16-bit numbers, what makes up for the weights'
//! offset, and the scales, each in the four lanes of its block. For other weights it is the floats.

use super::math;
use super::path::Norm;
use super::vector::Vector;
use super::weights::Weights;
use crate::format::{BLOCK, Format};

/// Largest number an input is rounded to: two signed bytes can hold it, the upper one without its least value.
const LARGEST: f32 = 32_639.0;

/// Words of an input of `cols` columns for weights of `format`.
#[inline(always)]
pub(super) fn words<V: Vector>(format: Format, cols: usize) -> usize {
    use super::weights::{Bf16, F16, F32, Fp8, Half, Mxfp4, Q4, Q8};
    #[inline(always)]
    fn of<V: Vector, W: Weights<V>>(cols: usize) -> usize {
        cols.div_ceil(W::COLS) * W::INPUT
    }
    match format {
        Format::F32 => of::<V, F32>(cols),
        Format::F16 => of::<V, Half<F16>>(cols),
        Format::Bf16 => of::<V, Half<Bf16>>(cols),
        Format::Q8 => of::<V, Q8>(cols),
        Format::Q4 => of::<V, Q4>(cols),
        Format::Fp8 => of::<V, Fp8>(cols),
        Format::Mxfp4 => of::<V, Mxfp4>(cols),
    }
}

/// Lays out `x` for weights of `format`; with a weight and an epsilon its norm. `row` is working space as long as `x`.
#[inline(always)]
pub(super) fn input<V: Vector>(format: Format, x: &[f32], norm: Norm<'_>, row: &mut [f32], out: &mut [u32]) {
    let x = normed::<V>(x, norm, row);
    match format {
        Format::F32 => floats::<V>(x, 1, out),
        Format::F16 | Format::Bf16 => floats::<V>(x, 2, out),
        Format::Fp8 => floats::<V>(x, 4, out),
        Format::Q8 => whole::<V>(x, V::HALVES_UNIT, out, bytes::<V>),
        Format::Q4 => whole::<V>(x, V::HALVES_UNIT, out, nibbles::<V, 8>),
        Format::Mxfp4 => whole::<V>(x, 0.5, out, nibbles::<V, 0>),
    }
}

/// `x`, or its norm in `row`.
#[inline(always)]
pub(super) fn normed<'a, V: Vector>(x: &'a [f32], norm: Norm<'_>, row: &'a mut [f32]) -> &'a [f32] {
    match norm {
        Some((weight, eps)) => {
            math::norm::<V>(x, weight, eps, row);
            row
        }
        None => x,
    }
}

/// Floats for words that hold `n` columns: vector `i` of a unit has column `i` of each word.
#[inline(always)]
fn floats<V: Vector>(x: &[f32], n: usize, out: &mut [u32]) {
    for (unit, x) in out.chunks_exact_mut(n * V::LANES).zip(x.chunks(n * V::LANES)) {
        for (at, word) in unit.iter_mut().enumerate() {
            *word = x.get(at % V::LANES * n + at / V::LANES).map_or(0, |v| v.to_bits());
        }
    }
}

/// Rounds blocks of 32 columns, and has `place` put each into its unit.
#[inline(always)]
fn whole<V: Vector>(x: &[f32], unit: f32, out: &mut [u32], place: impl Fn(&[i32; BLOCK], usize, &mut [u32])) {
    let lanes = V::LANES;
    let blocks = lanes / 4;
    for (part, x) in out.chunks_exact_mut(6 * lanes).zip(x.chunks(BLOCK * blocks)) {
        if x.len() < BLOCK * blocks {
            part.fill(0);
        }
        for (b, x) in x.chunks_exact(BLOCK).enumerate() {
            let (codes, scale) = round::<V>(x);
            place(&codes, b, part);
            part[5 * lanes + 4 * b..][..4].fill((scale * unit).to_bits());
        }
    }
}

/// A block's numbers, and the scale that makes them its values again.
#[inline(always)]
pub(super) fn round<V: Vector>(x: &[f32]) -> ([i32; BLOCK], f32) {
    let mut codes = [0; BLOCK];
    // Without their signs floats are in the order of their bits, those after all that are none.
    let mut most = V::splat_words(0);
    for part in x.chunks_exact(V::LANES) {
        // SAFETY: a part is a vector long.
        let v = V::bits(unsafe { V::load(part.as_ptr()) });
        most = V::max_words(most, V::and(v, V::splat_words(0x7FFF_FFFF)));
    }
    // What is not a number, or infinite, leaves no number: it must not be lost where it is rounded.
    let most = f32::from_bits(V::largest_word(most));
    // The inverse of next to nothing would be infinite.
    if !most.is_finite() || most < 1e-30 {
        return (codes, if most.is_finite() { 0.0 } else { f32::NAN });
    }
    let factor = V::splat(LARGEST / most);
    for (part, codes) in x.chunks_exact(V::LANES).zip(codes.chunks_exact_mut(V::LANES)) {
        // SAFETY: both are a vector long.
        unsafe { V::store_words(codes.as_mut_ptr().cast(), V::round(V::mul(V::load(part.as_ptr()), factor))) };
    }
    (codes, most / LARGEST)
}

/// Two numbers as the halves of a word.
#[inline(always)]
fn pair(low: i32, high: i32) -> u32 {
    low as u32 & 0xFFFF | (high as u32) << 16
}

/// For nibbles: of block `b`, whose words are a quarter's lanes, byte `k` of a word has a column of each half of the block.
#[inline(always)]
fn nibbles<V: Vector, const OFFSET: i32>(codes: &[i32; BLOCK], b: usize, unit: &mut [u32]) {
    let lanes = V::LANES;
    for j in 0..4 {
        let lane = 4 * b + j;
        let mut sum = 0;
        for half in 0..2 {
            let [a, b, c, d] = [0, 1, 2, 3].map(|k| codes[16 * half + 4 * j + k]);
            unit[half * lanes + lane] = pair(a, c);
            unit[(2 + half) * lanes + lane] = pair(b, d);
            sum += (a + b) + (c + d);
        }
        unit[4 * lanes + lane] = (-OFFSET * sum) as u32;
    }
}

/// For bytes: the words of two vectors, one after another.
#[inline(always)]
fn bytes<V: Vector>(codes: &[i32; BLOCK], b: usize, unit: &mut [u32]) {
    let lanes = V::LANES;
    for (j, four) in codes.chunks_exact(4).enumerate() {
        let word = 8 * b + j;
        let at = word / lanes * 2 * lanes + word % lanes;
        unit[at] = pair(four[0], four[2]);
        unit[at + lanes] = pair(four[1], four[3]);
    }
}
