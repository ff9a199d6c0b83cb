//! A short causal convolution of each channel between two gates (Liquid AI 2025, LFM2): `y[t] = C ⊙ Σ_k w[k] ⊙ u[t − K + 1 + k]`,
//! `u = B ⊙ x`. Before the first position `u` is 0.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, ONE, STATE, by, of, read, write};
use crate::device::{Args, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Channels: the hidden size, `H`.
    pub width: u32,
    /// Positions that are summed, `K`, this one included (config `conv_L_cache`).
    pub taps: u32,
    /// Positions that the ring holds: at least those of a play and `K − 1` more.
    pub ring: u32,
}

/// `state`, `x [T, 3, H]` (B, C, x), `weight [H, K]`, `past [ring, H]` (`u` of position `p` at `p` modulo `ring`), `y [T, H]`.
/// Grid: channels by 64, tokens.
pub static CONV: Kernel = Kernel {
    name: "conv",
    per_format: false,
    bindings: &[STATE, read("x"), read("weight"), write("past"), write("y")],
    launch,
    cpu,
    fast: None,
};

fn launch(params: &[u8], _: &Profile) -> Launch {
    let p: Params = of(params);
    [by(p.width, 64), EACH, ONE].into()
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (state, x, weight) = (args.u32(1), args.f32(2), args.f32(3));
    let (mut past, mut y) = (args.f32_mut(4), args.f32_mut(5));
    let (width, taps, ring) = (p.width as usize, p.taps as usize, p.ring as usize);
    for t in 0..args.tokens() {
        let (place, x) = (state[0] as usize + t, &x[3 * t * width..][..3 * width]);
        for i in 0..width {
            past[place % ring * width + i] = x[i] * x[2 * width + i];
            let seen = (0..taps).filter(|k| taps - 1 - k <= place);
            let sum: f32 = seen.map(|k| weight[i * taps + k] * past[(place - (taps - 1 - k)) % ring * width + i]).sum();
            y[t * width + i] = x[width + i] * sum;
        }
    }
}
