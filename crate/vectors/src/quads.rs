//! Whole-number products for vectors of four lanes: four rows are the lanes, and a block's products are added up before they are scaled.
//!
//! One input meets rows as they are stored. Several meet a *panel*: sixteen rows unpacked and turned so that a vector has some columns of
//! four of them, which the same columns of an input are multiplied with. Both add up the same numbers in the same order.

use core::mem::MaybeUninit;

use super::multiply::{self, LINE, Multiply, Row, Rows};
use super::pairs::{self, HEIGHT, INPUT, UNIT};
use super::vector::Vector;
use crate::format::{BLOCK, Format};

/// What four lanes can do beside.
pub(super) trait Quads: Vector {
    /// Words less those of another.
    fn sub_words(a: Self::I, b: Self::I) -> Self::I;
    /// The first two lanes of each, in turn.
    fn zip_low(a: Self::I, b: Self::I) -> Self::I;
    /// The last two.
    fn zip_high(a: Self::I, b: Self::I) -> Self::I;
    /// The first two lanes of `a`, then those of `b`.
    fn join_low(a: Self::I, b: Self::I) -> Self::I;
    /// The last two.
    fn join_high(a: Self::I, b: Self::I) -> Self::I;
    /// Four 16-bit floats, divided by [`Vector::HALVES_UNIT`].
    unsafe fn four_halves(p: [*const u16; 4]) -> Self::F;
    /// Four words.
    unsafe fn gather(p: [*const u32; 4]) -> Self::I;
    /// The 16-bit floats in the upper halves of lanes, divided by [`Vector::HALVES_UNIT`].
    fn upper_halves(a: Self::I) -> Self::F;
    /// Words as halves, those of `a` first; no word is too large for it.
    fn narrow(a: Self::I, b: Self::I) -> Self::I;
    /// The lower halves of the words of `a`, then those of `b`.
    fn lower(a: Self::I, b: Self::I) -> Self::I;
    /// The upper ones.
    fn upper(a: Self::I, b: Self::I) -> Self::I;
    /// The word there in all lanes.
    unsafe fn splat_at(p: *const u32) -> Self::I;
}

/// Most blocks of a panel, which is to stay in the first cache beside the inputs.
const MOST: usize = 16;
/// Blocks of its rows, unpacked.
#[repr(C, align(64))]
struct Panel([MaybeUninit<u32>; MOST * UNIT]);

/// Multiplies; `out` is `[which, rows]`.
#[inline(always)]
pub(super) fn multiply<V: Quads>(m: &Multiply<'_>, out: &mut [f32]) {
    match m.format {
        Format::Q4 | Format::Q8 | Format::Mxfp4 => whole::<V>(m, out),
        _ => multiply::multiply::<V>(m, out),
    }
}

#[inline(always)]
fn whole<V: Quads>(m: &Multiply<'_>, out: &mut [f32]) {
    let (height, tokens) = (m.rows.len(), m.which.len());
    if height == 0 || tokens == 0 {
        return;
    }
    let units = m.cols / BLOCK;
    let stride = units * INPUT;
    let inputs = m.which.iter().max().map_or(0, |i| *i as usize + 1);
    assert!(m.cols.is_multiple_of(BLOCK) && inputs * stride <= m.inputs.len(), "inputs of whole blocks");
    assert!(tokens * height <= out.len(), "products");
    let rows = Rows::of(m);
    // SAFETY: all inputs are inside, as was just asserted.
    let input = |t: usize| unsafe { m.inputs.as_ptr().add(m.which[t] as usize * stride) };
    if tokens == 1 {
        for (i, out) in out[..height].chunks_mut(4).enumerate() {
            // SAFETY: rows and inputs are whole.
            put::<V>(unsafe { pairs::one::<V>(m.format, &rows, 4 * i, input(0), units) }, out);
        }
        return;
    }
    let mut panel = Panel([MaybeUninit::uninit(); MOST * UNIT]);
    let panel: *mut u32 = panel.0.as_mut_ptr().cast();
    // Words of a panel's rows that each two inputs touch, whole lines.
    let part = (HEIGHT * rows.word(1)).div_ceil((units.div_ceil(MOST) * (tokens / 2)).max(1)).next_multiple_of(LINE);
    for first in (0..height).step_by(HEIGHT) {
        let wide = (height - first).min(HEIGHT);
        let (mut next, end) = (rows.word(first + HEIGHT), rows.word(first + 2 * HEIGHT));
        let place = |t: usize| t * height + first..t * height + first + wide;
        for from in (0..units).step_by(MOST) {
            let count = MOST.min(units - from);
            // SAFETY: rows are whole, and a panel has room for as many blocks.
            unsafe {
                for quad in (0..HEIGHT).step_by(4) {
                    pairs::fill::<V>(m.format, rows.four(first + quad), from, count, panel.add(quad));
                }
            }
            let sums = |out: &[f32]| if from > 0 { get::<V>(out) } else { [V::splat(0.0); 4] };
            // SAFETY: an input has those blocks.
            let input = |t: usize| unsafe { input(t).add(from * INPUT) };
            for t in (0..tokens - 1).step_by(2) {
                if next < end {
                    rows.touch(next, part);
                    next += part;
                }
                let [a, b] = [sums(&out[place(t)]), sums(&out[place(t + 1)])];
                // SAFETY: the panel and both inputs have as many blocks.
                let [a, b] = unsafe { pairs::meet_two::<V>(panel, [input(t), input(t + 1)], count, [a, b]) };
                put_all::<V>(a, &mut out[place(t)]);
                put_all::<V>(b, &mut out[place(t + 1)]);
            }
            if tokens % 2 == 1 {
                let out = &mut out[place(tokens - 1)];
                // SAFETY: the same.
                let [a] = unsafe { pairs::meet::<V>(panel, [input(tokens - 1)], count, [sums(out)]) };
                put_all::<V>(a, out);
            }
        }
    }
}

/// Sums of a panel's rows, or as many as there are.
#[inline(always)]
fn get<V: Quads>(out: &[f32]) -> [V::F; 4] {
    let mut all = [0.0; HEIGHT];
    let from = if out.len() == HEIGHT {
        out
    } else {
        all[..out.len()].copy_from_slice(out);
        &all
    };
    // SAFETY: four vectors are as many floats.
    unsafe { [0, 4, 8, 12].map(|i| V::load(from.as_ptr().add(i))) }
}

#[inline(always)]
fn put_all<V: Quads>(sums: [V::F; 4], out: &mut [f32]) {
    if out.len() == HEIGHT {
        // SAFETY: four vectors long.
        unsafe {
            V::store(out.as_mut_ptr(), sums[0]);
            V::store(out.as_mut_ptr().add(4), sums[1]);
            V::store(out.as_mut_ptr().add(8), sums[2]);
            V::store(out.as_mut_ptr().add(12), sums[3]);
        }
    } else {
        for (out, sums) in out.chunks_mut(4).zip(sums) {
            put::<V>(sums, out);
        }
    }
}

/// The lanes, or as many as there is room for.
#[inline(always)]
fn put<V: Quads>(sums: V::F, out: &mut [f32]) {
    if out.len() == 4 {
        // SAFETY: a vector long.
        unsafe { V::store(out.as_mut_ptr(), sums) };
    } else {
        let mut all = [0.0; 4];
        // SAFETY: the same.
        unsafe { V::store(all.as_mut_ptr(), sums) };
        out.copy_from_slice(&all[..out.len()]);
    }
}

/// `sum` and a block's total, scaled by that of the weights and that of the input.
#[inline(always)]
pub(super) unsafe fn scaled<V: Quads>(total: V::I, scales: V::F, input: *const u32, sum: V::F) -> V::F {
    // SAFETY: a block of an input is as long.
    let scale = V::mul(scales, V::of_bits(unsafe { V::load_words(input.add(20)) }));
    V::mul_add(V::to_float(total), scale, sum)
}

/// Sums of the lanes of each.
#[inline(always)]
pub(super) fn totals<V: Quads>(a: V::I, b: V::I, c: V::I, d: V::I) -> V::I {
    let ab = V::add_words(V::zip_low(a, b), V::zip_high(a, b)); // a0+a2, b0+b2, a1+a3, b1+b3
    let cd = V::add_words(V::zip_low(c, d), V::zip_high(c, d));
    V::add_words(V::join_low(ab, cd), V::join_high(ab, cd))
}

/// Four words of each row, from word `at` on, turned: the first of all rows, the second, ...
#[inline(always)]
pub(super) unsafe fn turned<V: Quads>(rows: &[Row; 4], at: usize) -> [V::I; 4] {
    // SAFETY: rows have as many words.
    let (a, b, c, d) = unsafe {
        (
            V::load_words(rows[0].weights.add(at)),
            V::load_words(rows[1].weights.add(at)),
            V::load_words(rows[2].weights.add(at)),
            V::load_words(rows[3].weights.add(at)),
        )
    };
    let (ab, cd) = (V::zip_low(a, b), V::zip_low(c, d));
    let (ab_high, cd_high) = (V::zip_high(a, b), V::zip_high(c, d));
    [V::join_low(ab, cd), V::join_high(ab, cd), V::join_low(ab_high, cd_high), V::join_high(ab_high, cd_high)]
}
