//! Absorbed MLA queries: `y[h] = [W_uk,hᵀ · q_nope,h, q_rope,h]` (DeepSeek-V2 §2.1), read from `kv_b_proj` as stored.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, ONE, of, read, write};
use crate::device::{Args, Dim, Grid};

/// Parameters, shared with `mla_value`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Query heads.
    pub heads: u32,
    /// Query dimensions without position (config `qk_nope_head_dim`).
    pub nope: u32,
    /// Rotated query dimensions (config `qk_rope_head_dim`).
    pub rope: u32,
    /// Value dimensions (config `v_head_dim`).
    pub value: u32,
    /// Latent dimensions (config `kv_lora_rank`).
    pub rank: u32,
}

/// `q [T, heads, nope + rope]`, planes `[heads·(nope + value), rank]`, `y [T, heads, rank + rope]`. Grid: heads, tokens.
pub static MLA_QUERY: Kernel = Kernel {
    name: "mla_query",
    per_format: true,
    bindings: &[read("q"), read("weights"), read("scales"), write("y")],
    grid,
    cpu,
};

fn grid(params: &[u8]) -> Grid {
    let p: Params = of(params);
    [Dim::Fixed(p.heads), EACH, ONE]
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (q, weights, scales) = (args.f32(1), args.u32(2), args.u32(3));
    let mut y = args.f32_mut(4);
    let (nope, rope, rank) = (p.nope as usize, p.rope as usize, p.rank as usize);
    let mut row = vec![0.0; rank];
    for t in 0..args.tokens() {
        for h in 0..p.heads as usize {
            let head = t * p.heads as usize + h;
            let q = &q[head * (nope + rope)..][..nope + rope];
            let (latent, rotated) = y[head * (rank + rope)..][..rank + rope].split_at_mut(rank);
            latent.fill(0.0);
            for (i, q) in q[..nope].iter().enumerate() {
                args.format().decode_row(&weights, &scales, h * (nope + p.value as usize) + i, &mut row);
                for (y, w) in latent.iter_mut().zip(&row) {
                    *y += q * w;
                }
            }
            rotated.copy_from_slice(&q[nope..]);
        }
    }
}
