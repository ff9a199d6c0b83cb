//! Arithmetic that several scalar twins share.

/// `x · σ(x)`.
pub(super) fn silu(x: f32) -> f32 {
    x / (1.0 + (-x).exp())
}

/// RMSNorm: `x · rsqrt(mean(x²) + eps) · weight` (Zhang & Sennrich 2019).
pub(super) fn norm(x: &[f32], weight: &[f32], eps: f32) -> Vec<f32> {
    let mean = x.iter().map(|v| v * v).sum::<f32>() / x.len() as f32;
    let inverse = 1.0 / (mean + eps).sqrt();
    x.iter().zip(weight).map(|(x, w)| x * inverse * w).collect()
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
