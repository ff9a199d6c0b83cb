//! Latent attention for few tokens: `attention` in the latent space, then each head's values from its mixed latent,
//! `W_uv,h · l_h` (DeepSeek-V2 §2.1), read from `kv_b_proj` as stored.

use super::{EACH, Kernel, Launch, ONE, STATE, attention, fast, of, read, write};
use crate::device::{Args, Profile};

/// As `attention` with one split, whose `y` is the mixed latents here, and `marks` unused; then planes
/// `[heads·(nope + value), v_width]`, `values_out [T, heads, value]`. Grid: fours of heads, tokens.
pub static MLA_ATTENTION: Kernel = Kernel {
    name: "mla_attention",
    per_format: true,
    bindings: &[
        STATE,
        read("q"),
        read("keys"),
        read("values"),
        write("y"),
        write("marks"),
        read("weights"),
        read("scales"),
        write("values_out"),
    ],
    launch,
    cpu,
    fast: Some(fast::mla_attention),
};

fn launch(params: &[u8], profile: &Profile) -> Launch {
    let p: attention::Params = of(params);
    // One token a workgroup, which makes all passes over the positions.
    let Launch { grid: [fours, ..], constants, subgroups } =
        attention::lay_out(&attention::Params { tokens: 1, ..p }, profile);
    Launch { grid: [fours, EACH, ONE], constants, subgroups }
}

fn cpu(args: &Args<'_>) {
    attention::cpu(args);
    let p: attention::Params = args.params();
    let (latents, weights, scales) = (args.f32(5), args.u32(7), args.u32(8));
    let mut values = args.f32_mut(9);
    let (heads, value) = (p.heads as usize, p.value as usize);
    for (i, values) in values.chunks_exact_mut(value).take(args.tokens() * heads).enumerate() {
        let latent = &latents[i * p.v_width as usize..][..p.v_width as usize];
        let first = p.row_first as usize + i % heads * p.row_step as usize;
        for (row, v) in values.iter_mut().enumerate() {
            *v = args.format().dot(&weights, &scales, first + row, latent);
        }
    }
}
