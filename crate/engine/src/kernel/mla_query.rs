//! Into latent attention: absorbed queries `y[h] = [W_uk,hᵀ · q_nope,h, turned q_rope,h]` (DeepSeek-V2 §2.1), read from
//! `kv_b_proj` as stored, and the normed latent with the turned shared key, which go into the cache.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, ONE, STATE, arithmetic, fast, of, read, write};
use crate::device::{Args, Dim, Profile};

/// Parameters. Strides and offsets are in floats.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Query heads.
    pub heads: u32,
    /// Query dimensions without position (config `qk_nope_head_dim`).
    pub nope: u32,
    /// Turned query dimensions (config `qk_rope_head_dim`).
    pub rope: u32,
    /// Value dimensions (config `v_head_dim`).
    pub value: u32,
    /// Latent dimensions (config `kv_lora_rank`).
    pub rank: u32,
    /// Distance between tokens in `q`.
    pub q_stride: u32,
    /// Distance between tokens in `kv`.
    pub kv_stride: u32,
    /// Where the latent starts in a token of `kv`; the shared key follows it.
    pub kv_offset: u32,
    /// 1: pairs are `(2i, 2i+1)` (config `rope_interleave`); 0: `(i, i + rope/2)`.
    pub interleaved: u32,
    /// Added to the mean of squares of the latent.
    pub eps: f32,
    /// 1: the cache is f16, two to a word, and widths are even; 0: f32.
    pub half: u32,
}

/// `state`, `turns [context, rope/2, 2]` (cosine, sine), `q [T, q_stride]`, `kv [T, kv_stride]`, `kv_norm [rank]`, planes
/// `[heads·(nope + value), rank]`, `y [T, heads, rank + rope]`, `cache [context, rank + rope]`. Grid: heads and the
/// latent, tokens.
pub static MLA_QUERY: Kernel = Kernel {
    name: "mla_query",
    per_format: true,
    bindings: &[
        STATE,
        read("turns"),
        read("q"),
        read("kv"),
        read("kv_norm"),
        read("weights"),
        read("scales"),
        write("y"),
        write("cache"),
    ],
    launch,
    cpu,
    fast: Some(fast::mla_query),
};

fn launch(params: &[u8], _: &Profile) -> Launch {
    let p: Params = of(params);
    // A rank that is not whole blocks has a last one that must not be written whole.
    let subgroups = p.rank.is_multiple_of(32);
    let launch = Launch::from([Dim::Fixed(p.heads + 1), EACH, ONE]).with(vec![("HALF", p.half)]);
    Launch { subgroups, ..launch }
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (state, turns, q, kv, kv_norm) = (args.u32(1), args.f32(2), args.f32(3), args.f32(4), args.f32(5));
    let (weights, scales) = (args.u32(6), args.u32(7));
    let (mut y, mut cache) = (args.f32_mut(8), args.u32_mut(9));
    let (nope, rope, rank) = (p.nope as usize, p.rope as usize, p.rank as usize);
    let mut row = vec![0.0; rank];
    for t in 0..args.tokens() {
        let place = state[0] as usize + t;
        let turns = &turns[place * rope..][..rope];
        for h in 0..p.heads as usize {
            let q = &q[t * p.q_stride as usize + h * (nope + rope)..][..nope + rope];
            let y = &mut y[(t * p.heads as usize + h) * (rank + rope)..][..rank + rope];
            let (latent, turned) = y.split_at_mut(rank);
            latent.fill(0.0);
            for (i, q) in q[..nope].iter().enumerate() {
                args.format().decode_row(&weights, &scales, h * (nope + p.value as usize) + i, &mut row);
                for (y, w) in latent.iter_mut().zip(&row) {
                    *y += q * w;
                }
            }
            turned.copy_from_slice(&q[nope..]);
            arithmetic::rotate(turned, turns, p.interleaved == 1);
        }
        let kv = &kv[t * p.kv_stride as usize + p.kv_offset as usize..][..rank + rope];
        let mut kept = arithmetic::norm(&kv[..rank], &kv_norm, p.eps);
        kept.extend_from_slice(&kv[rank..]);
        arithmetic::rotate(&mut kept[rank..], turns, p.interleaved == 1);
        arithmetic::store(&mut cache, p.half, place * (rank + rope), &kept);
    }
}
