//! MLA values from mixed latents: `y[h] = W_uv,h · x[h]` (DeepSeek-V2 §2.1), read from `kv_b_proj` as stored.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, ONE, of, read, write};
use crate::device::{Args, Dim, Grid};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Query heads.
    pub heads: u32,
    /// Rows of a head before its values: its query dimensions without position (config `qk_nope_head_dim`).
    pub nope: u32,
    /// Value dimensions (config `v_head_dim`).
    pub value: u32,
    /// Latent dimensions (config `kv_lora_rank`).
    pub rank: u32,
}

/// `x [T, heads, rank]`, planes `[heads·(nope + value), rank]`, `y [T, heads, value]`. Grid: heads, tokens.
pub static MLA_VALUE: Kernel = Kernel {
    name: "mla_value",
    per_format: true,
    bindings: &[read("x"), read("weights"), read("scales"), write("y")],
    grid,
    cpu,
};

fn grid(params: &[u8]) -> Grid {
    let p: Params = of(params);
    [Dim::Fixed(p.heads), EACH, ONE]
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (x, weights, scales) = (args.f32(1), args.u32(2), args.u32(3));
    let mut y = args.f32_mut(4);
    let (nope, value, rank) = (p.nope as usize, p.value as usize, p.rank as usize);
    for head in 0..args.tokens() * p.heads as usize {
        let first = head % p.heads as usize * (nope + value) + nope;
        let x = &x[head * rank..][..rank];
        for (i, y) in y[head * value..][..value].iter_mut().enumerate() {
            *y = args.format().dot(&weights, &scales, first + i, x);
        }
    }
}
