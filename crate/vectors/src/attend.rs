//! Attention of one token's query heads.

use core::ops::Range;

use super::cell::{Ahead, Cell};
use super::math;
use super::vector::Vector;

/// Keys and values, in what they are kept.
#[derive(Clone, Copy)]
pub enum Cache<'a> {
    /// 32-bit floats.
    F32(&'a [f32], &'a [f32]),
    /// 16-bit floats.
    F16(&'a [u16], &'a [u16]),
}

/// Queries, and the part of a cache that they see.
pub struct Attend<'a> {
    /// `[heads, k_width]`.
    pub q: &'a [f32],
    /// How many heads share a key and a value.
    pub sharing: usize,
    /// Which of those that do the first head is.
    pub first: usize,
    /// From the first position's key and value of the first head on; those of heads that share others follow.
    pub cache: Cache<'a>,
    /// Whether the cache is far: it is then read ahead, position by position.
    pub far: bool,
    /// Numbers of a key.
    pub k_width: usize,
    /// Numbers of a value.
    pub v_width: usize,
    /// Numbers from a position's key to the next.
    pub k_stride: usize,
    /// The same of values.
    pub v_stride: usize,
    /// Positions that are seen.
    pub seen: Range<usize>,
    /// Factor of the scores.
    pub scale: f32,
    /// Working space, a float for each head and position seen.
    pub scores: &'a mut [f32],
    /// `[heads, v_width]`.
    pub y: &'a mut [f32],
    /// `[heads, 2]`, the largest score and the sum of exponentials, if what is mixed is not to be divided by it; else nothing.
    pub marks: &'a mut [f32],
}

impl Attend<'_> {
    fn heads(&self) -> usize {
        self.q.len() / self.k_width
    }

    /// Which key of a position head `h` has, and how many heads from it on are taken together: two at most.
    #[inline(always)]
    fn together(&self, h: usize) -> (usize, usize) {
        let at = self.first + h;
        (at / self.sharing, (self.sharing - at % self.sharing).min(self.heads() - h).min(2))
    }

    /// Keys of a position.
    fn groups(&self) -> usize {
        (self.first + self.heads()).div_ceil(self.sharing)
    }
}

/// A part of a unit that queries are not multiplied by but scores, so that neither become too large.
const SPARED: f32 = 4096.0;

/// Positions that all heads are done with before the next are read, so that they stay in the nearest cache.
const NEAR: usize = 16;

/// `y = softmax(q·kᵀ·scale)·v`.
#[inline(always)]
pub(super) fn attend<V: Vector>(a: &mut Attend<'_>) {
    if a.seen.is_empty() {
        a.y.fill(0.0);
        return;
    }
    match a.cache {
        Cache::F32(keys, values) => over::<V, f32>(a, keys, values),
        Cache::F16(keys, values) => over::<V, u16>(a, keys, values),
    }
}

/// The same over a cache. Heads in twos load keys and values once; how many there are changes no bit.
#[inline(always)]
fn over<V: Vector, C: Cell>(a: &mut Attend<'_>, keys: &[C], values: &[C]) {
    let (start, count, heads) = (a.seen.start, a.seen.len(), a.heads());
    let (last, groups) = (a.seen.end - 1, a.groups());
    assert!(last * a.k_stride + groups * a.k_width <= keys.len(), "keys");
    assert!(last * a.v_stride + groups * a.v_width <= values.len(), "values");
    assert!(a.scores.len() == heads * count && a.y.len() == heads * a.v_width, "scores and what is mixed");
    let mut ahead =
        Ahead::of(&keys[start * a.k_stride..], a.k_stride, groups * a.k_width, if a.far { count } else { 0 });
    ahead.touch(NEAR * groups * a.k_width.div_ceil(C::LINE));
    for near in (0..count).step_by(NEAR) {
        let rows = near..count.min(near + NEAR);
        let mut h = 0;
        while h < heads {
            let (group, together) = a.together(h);
            let keys = &keys[group * a.k_width..];
            match together {
                2 => score::<V, C, 2>(a, keys, h, rows.clone()),
                _ => score::<V, C, 1>(a, keys, h, rows.clone()),
            }
            ahead.touch(rows.len() * a.k_width.div_ceil(C::LINE));
            h += together;
        }
    }
    for (h, scores) in a.scores.chunks_exact_mut(count).enumerate() {
        let largest = math::largest::<V>(scores);
        let total = math::exps::<V>(scores, largest);
        let share = if a.marks.is_empty() { C::unit::<V>() / total } else { C::unit::<V>() };
        scores.iter_mut().for_each(|s| *s *= share);
        if !a.marks.is_empty() {
            a.marks[2 * h..][..2].copy_from_slice(&[largest, total]);
        }
    }
    a.y.fill(0.0);
    let mut ahead =
        Ahead::of(&values[start * a.v_stride..], a.v_stride, groups * a.v_width, if a.far { count } else { 0 });
    ahead.touch(NEAR * groups * a.v_width.div_ceil(C::LINE));
    for near in (0..count).step_by(NEAR) {
        let rows = near..count.min(near + NEAR);
        let mut h = 0;
        while h < heads {
            let (group, together) = a.together(h);
            let values = &values[(start + near) * a.v_stride + group * a.v_width..];
            let scores = &a.scores[h * count..][..together * count];
            let y = &mut a.y[h * a.v_width..][..together * a.v_width];
            match together {
                2 => mix::<V, C, 2>(scores, rows.clone(), values, a.v_stride, y),
                _ => mix::<V, C, 1>(scores, rows.clone(), values, a.v_stride, y),
            }
            ahead.touch(rows.len() * a.v_width.div_ceil(C::LINE));
            h += together;
        }
    }
}

/// Scores of `H` heads from `first` on, of some positions.
#[inline(always)]
fn score<V: Vector, C: Cell, const H: usize>(a: &mut Attend<'_>, keys: &[C], first: usize, rows: Range<usize>) {
    let (start, count) = (a.seen.start, a.seen.len());
    let q = &a.q[first * a.k_width..][..H * a.k_width];
    let scores = &mut a.scores[first * count..][..H * count];
    for at in rows.step_by(4) {
        // The last four start where all are seen, or compute some twice.
        let at = at.min(count.saturating_sub(4));
        let mut four = [keys; 4];
        for (i, key) in four.iter_mut().enumerate() {
            *key = &keys[(start + (at + i).min(count - 1)) * a.k_stride..][..a.k_width];
        }
        let dots = dots::<V, C, H>(q, four);
        for (scores, dots) in scores.chunks_exact_mut(count).zip(&dots) {
            for (score, dot) in scores[at..].iter_mut().zip(dots) {
                *score = dot * a.scale;
            }
        }
    }
}

/// Products of `H` queries with four keys of their length.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "plain loops over arrays of vectors become registers")]
fn dots<V: Vector, C: Cell, const H: usize>(q: &[f32], keys: [&[C]; 4]) -> [[f32; 4]; H] {
    let width = keys[0].len();
    let whole = width - width % V::LANES;
    let spared = if C::unit::<V>() > 1.0 { SPARED } else { 1.0 };
    let mut sums = [[V::splat(0.0); 4]; H];
    for at in (0..whole).step_by(V::LANES) {
        // SAFETY: queries and keys are `width` long, and have a vector at `at`.
        unsafe {
            let mut x = [V::splat(0.0); H];
            for h in 0..H {
                let unit = V::splat(C::unit::<V>() / spared);
                x[h] = V::mul(V::load(q.as_ptr().add(h * width + at)), unit);
            }
            for i in 0..4 {
                let key = C::load::<V>(keys[i].as_ptr().add(at));
                for h in 0..H {
                    sums[h][i] = V::mul_add(x[h], key, sums[h][i]);
                }
            }
        }
    }
    let mut dots = [[0.0; 4]; H];
    for h in 0..H {
        let sums = V::sums(sums[h]);
        for i in 0..4 {
            let rest = q[h * width + whole..(h + 1) * width].iter().zip(&keys[i][whole..]);
            dots[h][i] = sums[i] * spared + rest.map(|(q, k)| q * k.float()).sum::<f32>();
        }
    }
    dots
}

/// `y += Σ share · value` of `H` heads, over `rows` of the shares; values are those from the first row on, at `stride`.
#[inline(always)]
fn mix<V: Vector, C: Cell, const H: usize>(
    shares: &[f32],
    rows: Range<usize>,
    values: &[C],
    stride: usize,
    y: &mut [f32],
) {
    let (count, width, seen) = (rows.len(), y.len() / H, shares.len() / H);
    assert!((count - 1) * stride + width <= values.len() && rows.end <= seen, "values");
    let mut at = 0;
    while at + 4 * V::LANES <= width {
        columns::<V, C, H, 4>(shares, seen, &rows, values, stride, y, at);
        at += 4 * V::LANES;
    }
    while at + V::LANES <= width {
        columns::<V, C, H, 1>(shares, seen, &rows, values, stride, y, at);
        at += V::LANES;
    }
    for at in at..width {
        for h in 0..H {
            let shares = shares[h * seen..][rows.clone()].iter().enumerate();
            let sum: f32 = shares.map(|(s, share)| share * values[s * stride + at].float()).sum();
            // A share has the unit that a vector is short of, and these are none.
            y[h * width + at] += sum / C::unit::<V>();
        }
    }
}

/// The same of `N` vectors of columns from `at` on, which there have to be.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "plain loops over arrays of vectors become registers")]
fn columns<V: Vector, C: Cell, const H: usize, const N: usize>(
    shares: &[f32],
    seen: usize,
    rows: &Range<usize>,
    values: &[C],
    stride: usize,
    y: &mut [f32],
    at: usize,
) {
    let width = y.len() / H;
    let mut sums = [[V::splat(0.0); N]; H];
    // SAFETY: `mix` asserted that shares and values are there, and there are `N` vectors of columns.
    unsafe {
        for h in 0..H {
            for n in 0..N {
                sums[h][n] = V::load(y.as_ptr().add(h * width + at + n * V::LANES));
            }
        }
        for s in 0..rows.len() {
            let value = values.as_ptr().add(s * stride + at);
            let mut share = [V::splat(0.0); H];
            for h in 0..H {
                share[h] = V::splat(*shares.as_ptr().add(h * seen + rows.start + s));
            }
            for n in 0..N {
                let v = C::load::<V>(value.add(n * V::LANES));
                for h in 0..H {
                    sums[h][n] = V::mul_add(share[h], v, sums[h][n]);
                }
            }
        }
        for h in 0..H {
            for n in 0..N {
                V::store(y.as_mut_ptr().add(h * width + at + n * V::LANES), sums[h][n]);
            }
        }
    }
}
