//! Whole numbers as pairs of 16 bits, which every instruction set multiplies and adds up: see `quads.rs`.

use core::hint::black_box;

use super::input;
use super::multiply::{Row, Rows};
use super::path::Norm;
use super::quads::{self, Quads, scaled};
use super::weights::{Mxfp4, Q4, Q8, bytes, fours, nibbles, power_of_two};
use crate::format::{BLOCK, Format};

/// Whole-number weights in blocks of 32.
trait Whole<V: Quads> {
    /// Words of a block.
    const WORDS: usize;
    /// Bytes of a block's scale.
    const SCALE: usize = 2;
    /// Pairs of columns in each word, of which inputs have the first of all lanes, then the second, ...; as many as count are in use.
    fn pairs(raw: V::I) -> [V::I; 4];
    /// The scales of four rows: halves, as a rule.
    #[inline(always)]
    unsafe fn scales(p: [*const u8; 4]) -> V::F {
        // SAFETY: the caller's.
        unsafe { V::four_halves([p[0].cast(), p[1].cast(), p[2].cast(), p[3].cast()]) }
    }
    /// The same of two blocks.
    #[inline(always)]
    unsafe fn two_scales(p: [*const u8; 4]) -> [V::F; 2] {
        // SAFETY: the caller's.
        let both = unsafe { V::gather([p[0].cast(), p[1].cast(), p[2].cast(), p[3].cast()]) };
        [V::upper_halves(V::shl::<16>(both)), V::upper_halves(both)]
    }
}

impl<V: Quads> Whole<V> for Q4 {
    const WORDS: usize = 4;

    #[inline(always)]
    fn pairs(raw: V::I) -> [V::I; 4] {
        nibbles::<V>(raw)
    }
}

impl<V: Quads> Whole<V> for Q8 {
    const WORDS: usize = 8;

    #[inline(always)]
    fn pairs(raw: V::I) -> [V::I; 4] {
        let [even, odd] = bytes::<V>(raw);
        [even, odd, even, odd]
    }
}

impl<V: Quads> Whole<V> for Mxfp4 {
    const WORDS: usize = 4;
    const SCALE: usize = 1;

    #[inline(always)]
    fn pairs(raw: V::I) -> [V::I; 4] {
        fours::<V>(raw)
    }
    #[inline(always)]
    unsafe fn scales(p: [*const u8; 4]) -> V::F {
        // SAFETY: the caller's.
        let powers = unsafe { [u32::from(*p[0]), u32::from(*p[1]), u32::from(*p[2]), u32::from(*p[3])] };
        power_of_two::<V>(V::quarters(powers))
    }
    #[inline(always)]
    unsafe fn two_scales(p: [*const u8; 4]) -> [V::F; 2] {
        // SAFETY: the caller's.
        unsafe { [<Self as Whole<V>>::scales(p), <Self as Whole<V>>::scales(p.map(|p| p.add(1)))] }
    }
}

/// Words of a block of an input: sixteen of numbers, what makes up for the weights' offset and three zeros, and the scale four times.
pub(super) const INPUT: usize = 24;
/// Lays out `x` as `input.rs` does, for vectors of four lanes.
#[inline(always)]
pub(super) fn input<V: Quads>(format: Format, x: &[f32], norm: Norm<'_>, row: &mut [f32], out: &mut [u32]) {
    let (offset, unit) = match format {
        Format::Q4 => (8, V::HALVES_UNIT),
        Format::Q8 => (0, V::HALVES_UNIT),
        Format::Mxfp4 => (0, 0.5),
        _ => return input::input::<V>(format, x, norm, row, out),
    };
    let x = input::normed::<V>(x, norm, row);
    for (x, out) in x.chunks_exact(BLOCK).zip(out.chunks_exact_mut(INPUT)) {
        let (codes, scale) = input::round::<V>(x);
        let mut sum = V::splat_words(0);
        let out = out.as_mut_ptr();
        // Bytes are words that follow each other; the second half of a block's nibbles is in the same words as the first.
        let places = if format == Format::Q8 { [0, 4, 8, 12] } else { [0, 8, 4, 12] };
        for half in 0..2 {
            let codes: *const u32 = codes[16 * half..].as_ptr().cast();
            // SAFETY: half a block is four vectors, and a block of an input six.
            unsafe {
                let (a, b) = (V::load_words(codes), V::load_words(codes.add(4)));
                let (c, d) = (V::load_words(codes.add(8)), V::load_words(codes.add(12)));
                sum = V::add_words(sum, V::add_words(V::add_words(a, b), V::add_words(c, d)));
                let (ab, cd) = (V::narrow(a, b), V::narrow(c, d));
                V::store_words(out.add(places[2 * half]), V::lower(ab, cd));
                V::store_words(out.add(places[2 * half + 1]), V::upper(ab, cd));
            }
        }
        let none = V::splat_words(0);
        let sum = V::shl::<3>(quads::totals::<V>(if offset == 8 { sum } else { none }, none, none, none));
        // SAFETY: the same.
        unsafe {
            V::store_words(out.add(16), V::sub_words(none, sum));
            V::store(out.add(20).cast(), V::splat(scale * unit));
        }
    }
}

/// Rows of a panel: of these with two inputs six loads make eight products, and three addresses are counted on.
pub const HEIGHT: usize = 16;
/// Words of their block in it: sixteen pairs, and the scale.
pub(super) const UNIT: usize = HEIGHT * 17;

/// Four rows from `first` on with one input, of `units` blocks.
#[inline(always)]
pub(super) unsafe fn one<V: Quads>(format: Format, rows: &Rows, first: usize, input: *const u32, units: usize) -> V::F {
    // SAFETY: the caller's.
    unsafe {
        match format {
            Format::Q4 => rows_with::<V, Q4>(rows, first, input, units),
            Format::Mxfp4 => rows_with::<V, Mxfp4>(rows, first, input, units),
            _ => rows_with::<V, Q8>(rows, first, input, units),
        }
    }
}

/// Unpacks `count` blocks of four rows, from block `from` on, into every fourth vector of a panel.
#[inline(always)]
pub(super) unsafe fn fill<V: Quads>(format: Format, rows: [Row; 4], from: usize, count: usize, panel: *mut u32) {
    // SAFETY: the caller's.
    unsafe {
        match format {
            Format::Q4 => unpack::<V, Q4>(rows, from, count, panel),
            Format::Mxfp4 => unpack::<V, Mxfp4>(rows, from, count, panel),
            _ => unpack::<V, Q8>(rows, from, count, panel),
        }
    }
}

#[inline(always)]
unsafe fn rows_with<V: Quads, W: Whole<V>>(all: &Rows, first: usize, input: *const u32, units: usize) -> V::F {
    let (rows, behind) = (all.four(first), all.word(first + 4));
    let mut sum = V::splat(0.0);
    let scales = |u: usize| [0, 1, 2, 3].map(|r: usize| rows[r].scales.wrapping_add(u * W::SCALE));
    // SAFETY: rows and the input have that many blocks.
    unsafe {
        for u in (0..units - units % 2).step_by(2) {
            if u.is_multiple_of(4) {
                all.touch(behind + 4 * W::WORDS * u, 16 * W::WORDS);
            }
            let [one, two] = W::two_scales(scales(u));
            let (weights, at) = (rows.map(|row| row.weights.add(u * W::WORDS)), input.add(u * INPUT));
            sum = block::<V, W>(weights, one, at, sum);
            sum = block::<V, W>(weights.map(|row| row.add(W::WORDS)), two, at.add(INPUT), sum);
        }
        if units % 2 == 1 {
            let u = units - 1;
            let weights = rows.map(|row| row.weights.add(u * W::WORDS));
            sum = block::<V, W>(weights, W::scales(scales(u)), input.add(u * INPUT), sum);
        }
    }
    sum
}

/// `sum` and a block of four rows with that of an input.
#[inline(always)]
unsafe fn block<V: Quads, W: Whole<V>>(weights: [*const u32; 4], scales: V::F, at: *const u32, sum: V::F) -> V::F {
    // SAFETY: the caller's.
    unsafe {
        let x = [V::load_words(at), V::load_words(at.add(4)), V::load_words(at.add(8)), V::load_words(at.add(12))];
        // No closure: it would be a function of its own, without the features of whoever calls.
        macro_rules! row {
            ($r:literal) => {{
                let [a, b, mut c, mut d] = W::pairs(V::load_words(weights[$r]));
                if W::WORDS == 8 {
                    [c, d, ..] = W::pairs(V::load_words(weights[$r].add(4)));
                }
                V::dot(V::dot(V::dot(V::dot(V::splat_words(0), a, x[0]), b, x[1]), c, x[2]), d, x[3])
            }};
        }
        let (a, b, c, d) = (row!(0), row!(1), row!(2), row!(3));
        let total = V::add_words(quads::totals::<V>(a, b, c, d), V::splat_at(at.add(16)));
        scaled::<V>(total, scales, at, sum)
    }
}

#[inline(always)]
unsafe fn unpack<V: Quads, W: Whole<V>>(rows: [Row; 4], from: usize, count: usize, panel: *mut u32) {
    // SAFETY: the caller's.
    unsafe {
        for u in 0..count {
            let (unit, u) = (panel.add(u * UNIT), from + u);
            for part in 0..W::WORDS / 4 {
                let words = quads::turned::<V>(&rows, u * W::WORDS + 4 * part);
                // Written out, as a loop over vectors in an array keeps them in memory.
                macro_rules! word {
                    ($j:literal) => {{
                        let count = 16 / W::WORDS;
                        for (k, pair) in W::pairs(words[$j]).into_iter().enumerate().take(count) {
                            V::store_words(unit.add(HEIGHT * (4 * (count * part + k) + $j)), pair);
                        }
                    }};
                }
                word!(0);
                word!(1);
                word!(2);
                word!(3);
            }
            let scales = [0, 1, 2, 3].map(|r: usize| rows[r].scales.add(u * W::SCALE));
            V::store_words(unit.add(HEIGHT * 16), V::bits(W::scales(scales)));
        }
    }
}

/// A panel's blocks with some inputs, added to `sums`; two take less together. Written out, as loops over vectors in arrays keep
/// them in memory, and a pair of columns at a time: of more LLVM takes all loads first, for which there are not enough registers.
macro_rules! meet {
    ($name:ident, $count:literal: $t:tt) => {
        #[inline(always)]
        pub(super) unsafe fn $name<V: Quads>(
            mut panel: *const u32,
            mut inputs: [*const u32; $count],
            count: usize,
            mut sums: [[V::F; 4]; $count],
        ) -> [[V::F; 4]; $count] {
            // Not a number that the compiler knows: unrolled, more vectors would be in use than there are registers.
            let pairs = black_box(16 * HEIGHT);
            // SAFETY: the panel and the inputs have as many blocks.
            unsafe {
                for _ in 0..count {
                    let mut totals = meet!(@first inputs, $t);
                    let end = panel.add(pairs);
                    loop {
                        meet!(@inputs inputs, x, $t);
                        meet!(@pair totals, panel, x, 0, $t);
                        meet!(@pair totals, panel, x, 1, $t);
                        meet!(@pair totals, panel, x, 2, $t);
                        meet!(@pair totals, panel, x, 3, $t);
                        panel = panel.add(HEIGHT);
                        if panel == end {
                            break;
                        }
                    }
                    meet!(@scale sums, totals, panel, inputs, 0, $t);
                    meet!(@scale sums, totals, panel, inputs, 1, $t);
                    meet!(@scale sums, totals, panel, inputs, 2, $t);
                    meet!(@scale sums, totals, panel, inputs, 3, $t);
                    panel = panel.add(HEIGHT);
                    meet!(@next inputs, $t);
                }
            }
            sums
        }
    };
    (@first $inputs:ident, ($($t:literal)*)) => {
        [$([V::splat_at($inputs[$t].add(16)); 4]),*]
    };
    (@inputs $inputs:ident, $x:ident, ($($t:literal)*)) => {
        let $x = [$(V::splat_at($inputs[$t])),*];
        $($inputs[$t] = $inputs[$t].add(1);)*
    };
    (@pair $totals:ident, $panel:ident, $x:ident, $r:literal, ($($t:literal)*)) => {
        let pairs = V::load_words($panel.add(4 * $r));
        $($totals[$t][$r] = V::dot($totals[$t][$r], pairs, $x[$t]);)*
    };
    (@scale $sums:ident, $totals:ident, $panel:ident, $inputs:ident, $r:literal, ($($t:literal)*)) => {
        let scales = V::of_bits(V::load_words($panel.add(4 * $r)));
        $($sums[$t][$r] = scaled::<V>($totals[$t][$r], scales, $inputs[$t].sub(16), $sums[$t][$r]);)*
    };
    (@next $inputs:ident, ($($t:literal)*)) => {
        $($inputs[$t] = $inputs[$t].add(INPUT - 16);)*
    };
}

meet!(meet, 1: (0));
meet!(meet_two, 2: (0 1));
