//! Weight formats as fast products read them: a *unit* of a row's columns is unpacked once, and multiplied with inputs that
//! were laid out for it (see `input.rs`).
//!
//! Weights of whole numbers meet inputs of 16 bits, and their products are added as whole numbers, without rounding: what is
//! lost is what the input lost when it was rounded to 16 bits in blocks of 32, about as much as f32 sums lose. Inputs of eight
//! bits would be twice as fast where a CPU multiplies bytes, and change greedy answers. Other weights are multiplied in f32.

use core::marker::PhantomData;

use super::vector::Vector;

/// What reads one format.
pub(super) trait Weights<V: Vector> {
    /// Columns of a unit.
    const COLS: usize;
    /// Words of a unit in the weight plane.
    const WORDS: usize;
    /// Bytes that a unit reads of the scale plane.
    const SCALES: usize;
    /// Words of a unit of an input.
    const INPUT: usize;
    /// An unpacked unit.
    type Unit: Copy;

    /// Bytes of a row's scales before those of unit `u`.
    fn scale_offset(u: usize) -> usize {
        u * Self::SCALES
    }

    /// Unpacks a unit; the pointers are good for [`Weights::WORDS`] and [`Weights::SCALES`].
    unsafe fn unit(weights: *const u32, scales: *const u8) -> Self::Unit;

    /// `sum` and the products of a unit with a unit of an input, [`Weights::INPUT`] words.
    unsafe fn add(sum: V::F, unit: &Self::Unit, input: *const u32) -> V::F;
}

/// Whole numbers: four vectors of pairs, and the scale of each block in the lanes of a quarter.
#[derive(Clone, Copy)]
pub(super) struct Whole<V: Vector> {
    pairs: [V::I; 4],
    scale: V::F,
}

impl<V: Vector> Whole<V> {
    /// `sum` and the scaled sum of products with the pairs of an input, which has the first sum or not, and its scales.
    #[inline(always)]
    unsafe fn add(&self, sum: V::F, input: *const u32, offset: bool, fold: bool) -> V::F {
        // SAFETY: a unit of an input is six vectors.
        unsafe {
            let [x, y, z, w] = [
                V::load_words(input),
                V::load_words(input.add(V::LANES)),
                V::load_words(input.add(2 * V::LANES)),
                V::load_words(input.add(3 * V::LANES)),
            ];
            let first = if offset { V::load_words(input.add(4 * V::LANES)) } else { V::splat_words(0) };
            let [a, b, c, d] = self.pairs;
            let total = if fold {
                let low = V::dot(V::dot(first, a, x), b, y);
                V::fold(low, V::dot(V::dot(V::splat_words(0), c, z), d, w))
            } else {
                V::dot(V::dot(V::dot(V::dot(first, a, x), b, y), c, z), d, w)
            };
            let scale = V::mul(self.scale, V::of_bits(V::load_words(input.add(5 * V::LANES))));
            V::mul_add(V::to_float(total), scale, sum)
        }
    }
}

/// Of words of eight nibbles each the first, third, ... in each half: pairs of columns `k` and `k + 2`.
pub(super) struct Q4;

impl<V: Vector> Weights<V> for Q4 {
    const COLS: usize = 8 * V::LANES;
    const WORDS: usize = V::LANES;
    const SCALES: usize = V::LANES / 2;
    const INPUT: usize = 6 * V::LANES;
    type Unit = Whole<V>;

    #[inline(always)]
    unsafe fn unit(weights: *const u32, scales: *const u8) -> Whole<V> {
        // SAFETY: the caller's.
        let (raw, scale) = unsafe { (V::load_words(weights), V::halves(scales.cast())) };
        Whole { pairs: nibbles::<V>(raw), scale }
    }

    #[inline(always)]
    unsafe fn add(sum: V::F, unit: &Whole<V>, input: *const u32) -> V::F {
        // SAFETY: the caller's.
        unsafe { unit.add(sum, input, true, false) }
    }
}

/// Bytes: two vectors of words, of each the even and the odd bytes.
pub(super) struct Q8;

impl<V: Vector> Weights<V> for Q8 {
    const COLS: usize = 8 * V::LANES;
    const WORDS: usize = 2 * V::LANES;
    const SCALES: usize = V::LANES / 2;
    const INPUT: usize = 6 * V::LANES;
    type Unit = Whole<V>;

    #[inline(always)]
    unsafe fn unit(weights: *const u32, scales: *const u8) -> Whole<V> {
        // SAFETY: the caller's.
        let (first, second, scale) =
            unsafe { (V::load_words(weights), V::load_words(weights.add(V::LANES)), V::halves(scales.cast())) };
        let [even, odd] = bytes::<V>(first);
        let [even_2, odd_2] = bytes::<V>(second);
        Whole { pairs: [even, odd, even_2, odd_2], scale }
    }

    #[inline(always)]
    unsafe fn add(sum: V::F, unit: &Whole<V>, input: *const u32) -> V::F {
        // SAFETY: the caller's.
        unsafe { unit.add(sum, input, false, true) }
    }
}

/// Of words the nibbles that lie four bits further left each time, two at a time.
#[inline(always)]
pub(super) fn nibbles<V: Vector>(raw: V::I) -> [V::I; 4] {
    let low = V::splat_words(0x000F_000F);
    [V::and(raw, low), V::and(V::shr::<4>(raw), low), V::and(V::shr::<8>(raw), low), V::shr_halves::<12>(raw)]
}

/// The even and the odd bytes of words, as signed halves.
#[inline(always)]
pub(super) fn bytes<V: Vector>(raw: V::I) -> [V::I; 2] {
    [V::sar_halves::<8>(V::shl_halves::<8>(raw)), V::sar_halves::<8>(raw)]
}

/// Of words of small floats twice their values, two at a time as [`nibbles`].
#[inline(always)]
pub(super) fn fours<V: Vector>(raw: V::I) -> [V::I; 4] {
    let low = V::splat_words(0x0F0F_0F0F);
    let table = V::quarters([0x0302_0100, 0x0C08_0604, 0xFDFE_FF00, 0xF4F8_FAFC]);
    let [even, odd] = bytes::<V>(V::lookup(table, V::and(raw, low)));
    let [even_high, odd_high] = bytes::<V>(V::lookup(table, V::and(V::shr::<4>(raw), low)));
    [even, even_high, odd, odd_high]
}

/// Two to the power of what is 127 less.
#[inline(always)]
pub(super) fn power_of_two<V: Vector>(power: V::I) -> V::F {
    // A byte of 0 means half of what that of 1 does, which the shift alone would lose; see `format/mxfp4.rs`.
    V::max(V::of_bits(V::shl::<23>(power)), V::of_bits(V::splat_words(1 << 22)))
}

/// As q4, through a table of twice the values; an input's scale is half as large.
pub(super) struct Mxfp4;

impl<V: Vector> Weights<V> for Mxfp4 {
    const COLS: usize = 8 * V::LANES;
    const WORDS: usize = V::LANES;
    const SCALES: usize = V::LANES / 4;
    const INPUT: usize = 6 * V::LANES;
    type Unit = Whole<V>;

    #[inline(always)]
    unsafe fn unit(weights: *const u32, scales: *const u8) -> Whole<V> {
        // SAFETY: the caller's.
        let (raw, power) = unsafe { (V::load_words(weights), V::bytes(scales)) };
        Whole { pairs: fours::<V>(raw), scale: power_of_two::<V>(power) }
    }

    #[inline(always)]
    unsafe fn add(sum: V::F, unit: &Whole<V>, input: *const u32) -> V::F {
        // SAFETY: the caller's.
        unsafe { unit.add(sum, input, false, false) }
    }
}

/// `sum` and the products of vectors of floats with those of an input.
macro_rules! add_floats {
    ($v:ident, $sum:ident, $unit:ident, $input:ident, $($i:literal)*) => {{
        let input = $input.cast::<f32>();
        let sum = $sum;
        // SAFETY: a unit of an input is as many vectors.
        $(let sum = $v::mul_add($unit[$i], unsafe { $v::load(input.add($i * $v::LANES)) }, sum);)*
        sum
    }};
}

/// Floats as they are.
pub(super) struct F32;

impl<V: Vector> Weights<V> for F32 {
    const COLS: usize = V::LANES;
    const WORDS: usize = V::LANES;
    const SCALES: usize = 0;
    const INPUT: usize = V::LANES;
    type Unit = [V::F; 1];

    #[inline(always)]
    unsafe fn unit(weights: *const u32, _: *const u8) -> [V::F; 1] {
        // SAFETY: the caller's.
        [unsafe { V::load(weights.cast()) }]
    }

    #[inline(always)]
    unsafe fn add(sum: V::F, unit: &[V::F; 1], input: *const u32) -> V::F {
        add_floats!(V, sum, unit, input, 0)
    }
}

/// Floats of 16 bits, two to a word; `H` says how halves are read.
pub(super) struct Half<H>(PhantomData<H>);

/// How the upper half of a word becomes a float.
pub(super) trait Upper {
    /// Bits of a half, the sign filled in from the left, as those of a float.
    fn float<V: Vector>(upper: V::I) -> V::F;
}

/// IEEE's half precision.
pub(super) struct F16;

impl Upper for F16 {
    #[inline(always)]
    fn float<V: Vector>(upper: V::I) -> V::F {
        let sign = V::and(upper, V::splat_words(0x8000_0000));
        let rest = V::shr::<3>(V::and(upper, V::splat_words(0x7FFF_0000)));
        V::mul(V::of_bits(V::or(sign, rest)), V::splat(super::vector::HALF_UNIT))
    }
}

/// The upper half of a float.
pub(super) struct Bf16;

impl Upper for Bf16 {
    #[inline(always)]
    fn float<V: Vector>(upper: V::I) -> V::F {
        V::of_bits(V::and(upper, V::splat_words(0xFFFF_0000)))
    }
}

impl<V: Vector, H: Upper> Weights<V> for Half<H> {
    const COLS: usize = 2 * V::LANES;
    const WORDS: usize = V::LANES;
    const SCALES: usize = 0;
    const INPUT: usize = 2 * V::LANES;
    type Unit = [V::F; 2];

    #[inline(always)]
    unsafe fn unit(weights: *const u32, _: *const u8) -> [V::F; 2] {
        // SAFETY: the caller's.
        let raw = unsafe { V::load_words(weights) };
        [H::float::<V>(V::shl::<16>(raw)), H::float::<V>(raw)]
    }

    #[inline(always)]
    unsafe fn add(sum: V::F, unit: &[V::F; 2], input: *const u32) -> V::F {
        add_floats!(V, sum, unit, input, 0 1)
    }
}

/// Floats of eight bits, with a scale for 128 columns.
pub(super) struct Fp8;

/// The values of the uppermost bytes of words.
#[inline(always)]
fn e4m3<V: Vector>(raw: V::I, scale: V::F) -> V::F {
    let sign = V::and(raw, V::splat_words(0x8000_0000));
    let rest = V::shr::<4>(V::and(raw, V::splat_words(0x7F00_0000)));
    // As if all had a leading one; those that have none lie below 2^-6, where the other one is the smaller.
    let one = V::of_bits(V::add_words(rest, V::splat_words(0x3C00_0000)));
    let none = V::mul_add(one, V::splat(2.0), V::splat(-0.015_625));
    V::mul(V::of_bits(V::or(V::bits(V::min(one, none)), sign)), scale)
}

impl<V: Vector> Weights<V> for Fp8 {
    const COLS: usize = 4 * V::LANES;
    const WORDS: usize = V::LANES;
    const SCALES: usize = 4;
    const INPUT: usize = 4 * V::LANES;
    type Unit = [V::F; 4];

    fn scale_offset(u: usize) -> usize {
        u * 4 * V::LANES / crate::format::TILE * 4
    }

    #[inline(always)]
    unsafe fn unit(weights: *const u32, scales: *const u8) -> [V::F; 4] {
        // SAFETY: the caller's.
        let (raw, scale) = unsafe { (V::load_words(weights), V::splat(scales.cast::<f32>().read_unaligned())) };
        [
            e4m3::<V>(V::shl::<24>(raw), scale),
            e4m3::<V>(V::shl::<16>(raw), scale),
            e4m3::<V>(V::shl::<8>(raw), scale),
            e4m3::<V>(raw, scale),
        ]
    }

    #[inline(always)]
    unsafe fn add(sum: V::F, unit: &[V::F; 4], input: *const u32) -> V::F {
        add_floats!(V, sum, unit, input, 0 1 2 3)
    }
}
