//! Heads of grouped-query attention: queries and keys are normed and turned, keys and values go into the cache.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, ONE, STATE, arithmetic, fast, of, read, write};
use crate::device::{Args, Dim, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Query heads.
    pub heads: u32,
    /// Key-value heads.
    pub kv_heads: u32,
    /// Floats of a head.
    pub width: u32,
    /// Turned floats of a head, from its first on; even.
    pub dims: u32,
    /// 1: pairs are `(2i, 2i+1)` (config `rope_interleave`); 0: `(i, i + dims/2)`.
    pub interleaved: u32,
    /// 1: queries and keys are normed by head first (Qwen3); 2: all heads of a token together (OLMoE); 0: not.
    pub norm: u32,
    /// Added to the mean of squares (config `rms_norm_eps`).
    pub eps: f32,
    /// 1: the cache is f16, two to a word, and widths are even; 0: f32.
    pub half: u32,
}

/// `state`, `turns [context, dims/2, 2]` (cosine, sine), `x [T, heads + 2·kv_heads, width]` (queries, keys, values),
/// norms `[width]`, or of all heads (anything when unused), `q [T, heads, width]`, `keys` and `values [context, kv_heads, width]`. Grid:
/// heads of all three kinds, tokens.
pub static HEADS: Kernel = Kernel {
    name: "heads",
    per_format: false,
    bindings: &[
        STATE,
        read("turns"),
        read("x"),
        read("q_norm"),
        read("k_norm"),
        write("q"),
        write("keys"),
        write("values"),
    ],
    launch,
    cpu,
    fast: Some(fast::heads),
};

fn launch(params: &[u8], _: &Profile) -> Launch {
    let p: Params = of(params);
    Launch::from([Dim::Fixed(p.heads + 2 * p.kv_heads), EACH, ONE]).with(vec![("HALF", p.half)])
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (state, turns, x) = (args.u32(1), args.f32(2), args.f32(3));
    let norms = [args.f32(4), args.f32(5)];
    let (mut q, mut keys, mut values) = (args.f32_mut(6), args.u32_mut(7), args.u32_mut(8));
    let (heads, kv_heads, width) = (p.heads as usize, p.kv_heads as usize, p.width as usize);
    let all = (heads + 2 * kv_heads) * width;
    for (t, x) in x.chunks_exact(all).take(args.tokens()).enumerate() {
        let place = state[0] as usize + t;
        let turns = &turns[place * p.dims as usize..][..p.dims as usize];
        let (x_q, rest) = x.split_at(heads * width);
        let (x_k, x_v) = rest.split_at(kv_heads * width);
        let turned = |x: &[f32], norm: &[f32], y: &mut [f32]| {
            match p.norm {
                0 => y.copy_from_slice(x),
                1 => {
                    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
                        y.copy_from_slice(&arithmetic::norm(x, norm, p.eps));
                    }
                }
                _ => y.copy_from_slice(&arithmetic::norm(x, norm, p.eps)),
            }
            for y in y.chunks_exact_mut(width) {
                arithmetic::rotate(&mut y[..p.dims as usize], turns, p.interleaved == 1);
            }
        };
        turned(x_q, &norms[0], &mut q[t * heads * width..][..heads * width]);
        let mut key = vec![0.0; kv_heads * width];
        turned(x_k, &norms[1], &mut key);
        arithmetic::store(&mut keys, p.half, place * kv_heads * width, &key);
        arithmetic::store(&mut values, p.half, place * kv_heads * width, x_v);
    }
}
