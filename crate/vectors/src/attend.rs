//! Attention of one token's query heads that share keys and values.

use core::ops::Range;

use super::math;
use super::vector::Vector;

/// Queries, and the part of a cache that they see.
pub struct Attend<'a> {
    /// `[heads, k_width]`.
    pub q: &'a [f32],
    /// From the first position's key and value of these heads on.
    pub keys: &'a [f32],
    /// The same of values.
    pub values: &'a [f32],
    /// Floats of a key.
    pub k_width: usize,
    /// Floats of a value.
    pub v_width: usize,
    /// Floats from a position's key to the next.
    pub k_stride: usize,
    /// The same of values.
    pub v_stride: usize,
    /// Positions that are seen.
    pub seen: Range<usize>,
    /// Factor of the scores.
    pub scale: f32,
    /// Working space, a float for each position seen.
    pub scores: &'a mut [f32],
    /// `[heads, v_width]`.
    pub y: &'a mut [f32],
    /// `[heads, 2]`, the largest score and the sum of exponentials, if what is mixed is not to be divided by it; else nothing.
    pub marks: &'a mut [f32],
}

/// `y = softmax(q·kᵀ·scale)·v`.
#[inline(always)]
pub(super) fn attend<V: Vector>(a: &mut Attend<'_>) {
    if a.seen.is_empty() {
        a.y.fill(0.0);
        return;
    }
    let last = a.seen.end - 1;
    assert!(last * a.k_stride + a.k_width <= a.keys.len() && last * a.v_stride + a.v_width <= a.values.len(), "cache");
    assert_eq!(a.scores.len(), a.seen.len(), "scores");
    for (h, (q, y)) in a.q.chunks_exact(a.k_width).zip(a.y.chunks_exact_mut(a.v_width)).enumerate() {
        let count = a.seen.len();
        for at in (0..count).step_by(4) {
            // The last four start where all are seen, or compute some twice.
            let at = at.min(count.saturating_sub(4));
            let keys =
                [0, 1, 2, 3].map(|i| &a.keys[(a.seen.start + (at + i).min(count - 1)) * a.k_stride..][..a.k_width]);
            let four = dots::<V>(q, keys).map(|dot| dot * a.scale);
            let end = count.min(at + 4);
            a.scores[at..end].copy_from_slice(&four[..end - at]);
        }
        let largest = math::largest::<V>(a.scores);
        let total = math::exps::<V>(a.scores, largest);
        if a.marks.is_empty() {
            let inverse = 1.0 / total;
            a.scores.iter_mut().for_each(|s| *s *= inverse);
        } else {
            a.marks[2 * h..][..2].copy_from_slice(&[largest, total]);
        }
        let values = &a.values[a.seen.start * a.v_stride..];
        mix::<V>(a.scores, values, a.v_stride, y);
    }
}

/// Products of `q` with four keys of its length.
#[inline(always)]
fn dots<V: Vector>(q: &[f32], keys: [&[f32]; 4]) -> [f32; 4] {
    let [mut a, mut b, mut c, mut d] = [V::splat(0.0); 4];
    let whole = q.len() - q.len() % V::LANES;
    for at in (0..whole).step_by(V::LANES) {
        // SAFETY: all are as long as `q`, which has a vector at `at`.
        unsafe {
            let q = V::load(q.as_ptr().add(at));
            a = V::mul_add(q, V::load(keys[0].as_ptr().add(at)), a);
            b = V::mul_add(q, V::load(keys[1].as_ptr().add(at)), b);
            c = V::mul_add(q, V::load(keys[2].as_ptr().add(at)), c);
            d = V::mul_add(q, V::load(keys[3].as_ptr().add(at)), d);
        }
    }
    let mut sums = V::sums([a, b, c, d]);
    for (sum, key) in sums.iter_mut().zip(&keys) {
        *sum += q[whole..].iter().zip(&key[whole..]).map(|(q, k)| q * k).sum::<f32>();
    }
    sums
}

/// `y = Σ share · value`, over the values at `stride`.
#[inline(always)]
fn mix<V: Vector>(shares: &[f32], values: &[f32], stride: usize, y: &mut [f32]) {
    let rows = shares.len();
    assert!((rows - 1) * stride + y.len() <= values.len(), "values");
    let mut fours = y.chunks_exact_mut(4 * V::LANES);
    let mut at = values.as_ptr();
    for y in &mut fours {
        let [mut a, mut b, mut c, mut d] = [V::splat(0.0); 4];
        // SAFETY: the last value ends inside, as was just asserted.
        unsafe {
            for (s, share) in shares.iter().enumerate() {
                let (share, value) = (V::splat(*share), at.add(s * stride));
                a = V::mul_add(share, V::load(value), a);
                b = V::mul_add(share, V::load(value.add(V::LANES)), b);
                c = V::mul_add(share, V::load(value.add(2 * V::LANES)), c);
                d = V::mul_add(share, V::load(value.add(3 * V::LANES)), d);
            }
            V::store(y.as_mut_ptr(), a);
            V::store(y.as_mut_ptr().add(V::LANES), b);
            V::store(y.as_mut_ptr().add(2 * V::LANES), c);
            V::store(y.as_mut_ptr().add(3 * V::LANES), d);
            at = at.add(4 * V::LANES);
        }
    }
    let mut ones = fours.into_remainder().chunks_exact_mut(V::LANES);
    for y in &mut ones {
        let mut sum = V::splat(0.0);
        // SAFETY: the same.
        unsafe {
            for (s, share) in shares.iter().enumerate() {
                sum = V::mul_add(V::splat(*share), V::load(at.add(s * stride)), sum);
            }
            V::store(y.as_mut_ptr(), sum);
            at = at.add(V::LANES);
        }
    }
    let rest = ones.into_remainder();
    let from = values.len().min((at as usize - values.as_ptr() as usize) / size_of::<f32>());
    for (i, y) in rest.iter_mut().enumerate() {
        *y = shares.iter().enumerate().map(|(s, share)| share * values[from + s * stride + i]).sum();
    }
}
