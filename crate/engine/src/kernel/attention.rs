//! Causal attention over the cache: `softmax(q·kᵀ·scale)·v`, query heads sharing key-value heads (GQA, Ainslie 2023).
//!
//! Multi-head latent attention in its absorbed form (DeepSeek-V2 §2.1) is the case of one key-value head whose values are
//! the first `v_width` floats of its keys.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, STATE, arithmetic, fast, of, read, write};
use crate::device::{Args, Dim, Profile};

/// Below every score: the largest of none.
const LOWEST: f32 = -3.0e38;

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
    /// Parts that the positions are split into.
    pub splits: u32,
    /// Most tokens of a play.
    pub tokens: u32,
    /// Floats of a head's values where they are made of what was mixed (`mla_attention`); unused otherwise.
    pub value: u32,
    /// First row of the first head's part of that matrix.
    pub row_first: u32,
    /// Rows from one head's part to the next.
    pub row_step: u32,
    /// 1: keys and values are f16, two to a word; 0: f32. Widths and strides are then multiples of four.
    pub half: u32,
    /// 1: `y` is not yet divided by the sum, and marks are written: what there is of a softmax goes to `attention_merge`. Must be 1
    /// if there is more than one split. 0: not.
    pub apart: u32,
}

impl Params {
    /// Workgroups that take four heads each.
    pub(crate) fn fours(&self) -> u32 {
        self.kv_heads * (self.heads / self.kv_heads).div_ceil(4)
    }
}

/// `state`, `q [T, heads, k_width]`, `keys [context, k_stride]`, `values [context, v_stride]`,
/// `y [T, splits, heads, v_width]`, and if apart `marks [T, splits, heads, 2]`: the largest score, and the
/// sum of the others' exponentials relative to it; `y` is then not yet divided by the sum. Grid: fours of heads that share
/// keys and values, tokens, splits; with subgroup operations tokens or splits are put side by side in a workgroup.
pub static ATTENTION: Kernel = Kernel {
    name: "attention",
    per_format: false,
    bindings: &[STATE, read("q"), read("keys"), read("values"), write("y"), write("marks")],
    launch,
    cpu,
    fast: Some(fast::attention),
};

fn launch(params: &[u8], profile: &Profile) -> Launch {
    lay_out(&of(params), profile)
}

/// How a launch of these parameters is laid out.
pub(super) fn lay_out(p: &Params, profile: &Profile) -> Launch {
    let constants = vec![("SPLIT", p.apart), ("HALF", p.half)];
    let quads = (p.k_width | p.v_width | p.k_stride | p.v_stride).is_multiple_of(4);
    if !(profile.subgroups() && quads) {
        return Launch { grid: [Dim::Fixed(p.fours()), EACH, Dim::Fixed(p.splits)], constants, subgroups: false };
    }
    // A lane takes a position for the scores and mixes up to four quads, sixteen floats of a value, in a pass. All there are, though few
    // may have a quad to mix: what a GPU waits for is one position after another.
    let lanes = profile.most_lanes();
    // No more groups than have a token or a split: a software adapter would run the others too.
    let busy = if p.apart == 1 { p.splits } else { p.tokens };
    let groups = busy.next_power_of_two().min(64 / lanes);
    let passes = p.v_width.div_ceil(16 * lanes);
    let (tokens, splits) = if p.apart == 1 { (EACH, p.splits.div_ceil(groups)) } else { (Dim::Tokens(groups), 1) };
    let grid = [Dim::Fixed(p.fours()), tokens, Dim::Fixed(passes * splits)];
    Launch { grid, constants, subgroups: true }.with(vec![("LANES", lanes), ("THREADS", lanes * groups)])
}

pub(super) fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (state, q, keys, values) = (args.u32(1), args.f32(2), args.u32(3), args.u32(4));
    let mut y = args.f32_mut(5);
    let (heads, kw, vw) = (p.heads as usize, p.k_width as usize, p.v_width as usize);
    let (position, window, splits) = (state[0] as usize, p.window as usize, p.splits as usize);
    let start_of = |end: usize| if window == 0 { 0 } else { end.saturating_sub(window) };
    let low = start_of(position + 1);
    let per = (position + args.tokens() - low).div_ceil(splits);
    let mut scores = Vec::new();
    for (t, split) in (0..args.tokens()).flat_map(|t| (0..splits).map(move |split| (t, split))) {
        let end = position + t + 1;
        let first = (low + split * per).max(start_of(end));
        let seen = first..end.min(low + (split + 1) * per);
        for h in 0..heads {
            let group = h / (heads / p.kv_heads as usize);
            let q = &q[(t * heads + h) * kw..][..kw];
            scores.clear();
            scores.extend(seen.clone().map(|s| {
                let k = arithmetic::cached(&keys, p.half, s * p.k_stride as usize + group * kw, kw);
                q.iter().zip(k.iter()).map(|(q, k)| q * k).sum::<f32>() * p.scale
            }));
            let largest = scores.iter().copied().fold(LOWEST, f32::max);
            let mut total = 0.0;
            for s in &mut scores {
                *s = (*s - largest).exp();
                total += *s;
            }
            let row = (t * splits + split) * heads + h;
            let y = &mut y[row * vw..][..vw];
            y.fill(0.0);
            let whole = if p.apart == 1 { 1.0 } else { total };
            for (s, score) in seen.clone().zip(&scores) {
                let v = arithmetic::cached(&values, p.half, s * p.v_stride as usize + group * vw, vw);
                for (y, v) in y.iter_mut().zip(v.iter()) {
                    *y += score / whole * v;
                }
            }
            if p.apart == 1 {
                args.f32_mut(6)[2 * row..][..2].copy_from_slice(&[largest, total]);
            }
        }
    }
}
