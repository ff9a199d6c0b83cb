//! Arithmetic that several scalar twins share.

use std::borrow::Cow;

use half::f16;

/// `x · σ(x)`.
pub(super) fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// A gate and its up: `silu(gate) · up` (SwiGLU, Shazeer 2020); with a limit above 0 as in gpt-oss,
/// `gate · σ(1.702 · gate) · (up + 1)` with the gate at most, and the up within, that limit.
pub(super) fn swiglu(gate: f32, up: f32, limit: f32) -> f32 {
    if limit == 0.0 {
        return silu(gate) * up;
    }
    let g = gate.min(limit);
    (up.clamp(-limit, limit) + 1.0) * g / (1.0 + (-1.702 * g).exp())
}

/// The bias of a row of a record whose biases start at word `at`; 0 where it has none.
pub(super) fn bias(record: &[u32], at: u32, row: usize) -> f32 {
    if at == 0 { 0.0 } else { f32::from_bits(record[at as usize + row]) }
}

/// The biases of these rows, likewise; nothing where there are none.
pub(super) fn biases(record: &[u32], at: u32, rows: std::ops::Range<usize>) -> &[f32] {
    if at == 0 { &[] } else { bytemuck::cast_slice(&record[at as usize..][rows]) }
}

/// RMSNorm: `x · rsqrt(mean(x²) + eps) · weight` (Zhang & Sennrich 2019).
pub(super) fn norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let mean = x.iter().map(|v| v * v).sum::<f32>() / x.len() as f32;
    let inverse = 1.0 / (mean + eps).sqrt();
    x.iter().zip(weight).map(|(x, w)| x * inverse * w).collect()
}

/// The input of a product: `x`, or its norm by a weight and an epsilon.
pub(super) fn input<'a>(x: &'a [f32], norm: Option<(&[f32], f32)>) -> Cow<'a, [f32]> {
    norm.map_or(x.into(), |(weight, eps)| self::norm(x, weight, eps).into())
}

/// An expert's record of `stride` words in the pool.
pub(super) fn record<'a>(pool: &'a [u32], slots: &[u32], expert: u32, stride: u32) -> &'a [u32] {
    let stride = stride as usize;
    &pool[slots[expert as usize] as usize * stride..][..stride]
}

/// Turns pairs of `x [dims]` by the cosines and sines of one position, `turns [dims/2, 2]` (Su et al. 2021). Pairs are
/// `(2i, 2i+1)` when interleaved, else `(i, i + dims/2)`.
pub(super) fn rotate(x: &mut [f32], turns: &[f32], interleaved: bool) {
    let half = x.len() / 2;
    for i in 0..half {
        let (a, b) = if interleaved { (2 * i, 2 * i + 1) } else { (i, i + half) };
        let (cos, sin) = (turns[2 * i], turns[2 * i + 1]);
        (x[a], x[b]) = (x[a] * cos - x[b] * sin, x[b] * cos + x[a] * sin);
    }
}

/// Floats `at` to `at + len` of a cache, which are two halves a word where `half` is 1.
pub(super) fn cached(words: &[u32], half: u32, at: usize, len: usize) -> Cow<'_, [f32]> {
    if half == 0 {
        return bytemuck::cast_slice(&words[at..at + len]).into();
    }
    let halves: &[f16] = bytemuck::cast_slice(words);
    halves[at..at + len].iter().map(|h| h.to_f32()).collect()
}

/// Writes floats from `at` on of such a cache.
pub(super) fn store(words: &mut [u32], half: u32, at: usize, values: &[f32]) {
    if half == 0 {
        bytemuck::cast_slice_mut(words)[at..at + values.len()].copy_from_slice(values);
        return;
    }
    let halves: &mut [f16] = bytemuck::cast_slice_mut(words);
    for (h, v) in halves[at..].iter_mut().zip(values) {
        *h = f16::from_f32(*v);
    }
}
