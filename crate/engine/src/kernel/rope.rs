//! Rotary position embedding in place, from a table of cosines and sines (Su et al. 2021).

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, ONE, by, of, read, write};
use crate::device::{Args, Grid};

/// Parameters. Head `h` of token `t` is rotated from `t·stride + h·head + offset` on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Heads in a token.
    pub heads: u32,
    /// Distance between heads, in floats.
    pub head: u32,
    /// First rotated element of a head.
    pub offset: u32,
    /// Rotated elements, even.
    pub dims: u32,
    /// Distance between tokens, in floats.
    pub stride: u32,
    /// 1: pairs are `(2i, 2i+1)` (config `rope_interleave`); 0: `(i, i + dims/2)`.
    pub interleaved: u32,
}

/// `state`, `table [context, dims/2, 2]` (cosine, sine), `x [T, stride]`. Grid: pairs of all heads, tokens.
pub static ROPE: Kernel =
    Kernel { name: "rope", per_format: false, bindings: &[read("state"), read("table"), write("x")], grid, cpu };

fn grid(params: &[u8]) -> Grid {
    let p: Params = of(params);
    [by(p.heads * p.dims / 2, 64), EACH, ONE]
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (state, table) = (args.u32(1), args.f32(2));
    let mut x = args.f32_mut(3);
    let half = p.dims as usize / 2;
    for t in 0..args.tokens() {
        let angles = &table[(state[0] as usize + t) * p.dims as usize..][..p.dims as usize];
        for h in 0..p.heads as usize {
            let start = t * p.stride as usize + h * p.head as usize + p.offset as usize;
            let x = &mut x[start..][..p.dims as usize];
            for i in 0..half {
                let (a, b) = if p.interleaved == 1 { (2 * i, 2 * i + 1) } else { (i, i + half) };
                let (cos, sin) = (angles[2 * i], angles[2 * i + 1]);
                (x[a], x[b]) = (x[a] * cos - x[b] * sin, x[b] * cos + x[a] * sin);
            }
        }
    }
}
