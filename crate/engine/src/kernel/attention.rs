//! Causal attention over the cache: `softmax(q·kᵀ·scale)·v`, query heads sharing key-value heads (GQA, Ainslie 2023).
//!
//! Multi-head latent attention in its absorbed form (DeepSeek-V2 §2.1) is the case of one key-value head whose values are
//! the first `v_width` floats of its keys.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, ONE, STATE, of, read, write};
use crate::device::{Args, Dim};

/// Parameters. Position `s` of key-value head `g` is at `s·k_stride + g·k_width` in keys, likewise in values.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Query heads.
    pub heads: u32,
    /// Key-value heads; `heads` is a multiple.
    pub kv_heads: u32,
    /// Floats of a query and of a key.
    pub k_width: u32,
    /// Floats of a value and of a head's output.
    pub v_width: u32,
    /// Distance between positions in the keys, in floats.
    pub k_stride: u32,
    /// Distance between positions in the values, in floats.
    pub v_stride: u32,
    /// Factor of the scores before the softmax.
    pub scale: f32,
    /// Positions a token sees, itself included; 0 for all before it (config `sliding_window`).
    pub window: u32,
}

/// `state`, `q [T, heads, k_width]`, `keys [context, k_stride]`, `values [context, v_stride]`,
/// `y [T, heads, v_width]`. Grid: fours of heads that share keys and values, tokens.
pub static ATTENTION: Kernel = Kernel {
    name: "attention",
    per_format: false,
    bindings: &[STATE, read("q"), read("keys"), read("values"), write("y")],
    launch,
    cpu,
};

fn launch(params: &[u8], _: bool) -> Launch {
    let p: Params = of(params);
    [Dim::Fixed(p.kv_heads * (p.heads / p.kv_heads).div_ceil(4)), EACH, ONE].into()
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (state, q, keys, values) = (args.u32(1), args.f32(2), args.f32(3), args.f32(4));
    let mut y = args.f32_mut(5);
    let (heads, kw, vw) = (p.heads as usize, p.k_width as usize, p.v_width as usize);
    let mut scores = Vec::new();
    for t in 0..args.tokens() {
        let end = state[0] as usize + t + 1;
        let start = if p.window == 0 { 0 } else { end.saturating_sub(p.window as usize) };
        for h in 0..heads {
            let group = h / (heads / p.kv_heads as usize);
            let q = &q[(t * heads + h) * kw..][..kw];
            scores.clear();
            scores.extend((start..end).map(|s| {
                let k = &keys[s * p.k_stride as usize + group * kw..][..kw];
                q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>() * p.scale
            }));
            let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut total = 0.0;
            for s in &mut scores {
                *s = (*s - largest).exp();
                total += *s;
            }
            let y = &mut y[(t * heads + h) * vw..][..vw];
            y.fill(0.0);
            for (s, score) in (start..end).zip(&scores) {
                let v = &values[s * p.v_stride as usize + group * vw..][..vw];
                for (y, v) in y.iter_mut().zip(v) {
                    *y += score / total * v;
                }
            }
        }
    }
}
