//! Sampling: repetition penalty, temperature, top-k, top-p, min-p, then one draw; all on the device.
//!
//! The cuts are thresholds on the logits, found by bisection on their order-preserving integer keys, so nothing is
//! sorted: top-k keeps every logit that is at least the k-th largest (ties included), top-p the smallest such set whose
//! probability reaches `top_p` (at least the best), min-p those at least `min_p` times as likely as the best. The draw walks the kept tokens
//! in order of id.

use std::ops::RangeInclusive;

use bytemuck::{Pod, Zeroable};

use super::{Kernel, Launch, ONE, read, write};
use crate::device::{Args, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Number of logits, `V`.
    pub vocab: u32,
}

/// The request's settings, in a storage buffer so that a plan serves all requests.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
pub struct Settings {
    /// Divides the logits; above 0 (0 is the `argmax` kernel).
    pub temperature: f32,
    /// Keeps the `top_k` best; 0 for all.
    pub top_k: u32,
    /// Keeps the least set of this probability; 1 for all.
    pub top_p: f32,
    /// Keeps tokens at least this times as likely as the best; 0 for all.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens seen before (Keskar et al. 2019); 1 for none.
    pub repetition_penalty: f32,
}

impl Settings {
    /// What temperatures may be.
    pub const TEMPERATURE: RangeInclusive<f32> = 0.0..=10.0;
    /// What `top_p` and `min_p` may be.
    pub const SHARE: RangeInclusive<f32> = 0.0..=1.0;
    /// What repetition penalties may be.
    pub const PENALTY: RangeInclusive<f32> = 0.01..=100.0;
}

impl Default for Settings {
    /// The model's own distribution.
    fn default() -> Self {
        Settings { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 }
    }
}

/// `settings`, `seen [V/32]` (a bit a token; the chosen one's is set), `logits [V]` (overwritten), `state`, which goes on to
/// the next play, `tokens [1]`, of which it is to be, `result [4]`: id, bits of its log-probability among the kept, how many
/// were kept, 0. Grid: 1.
pub static SAMPLE: Kernel = Kernel {
    name: "sample",
    per_format: false,
    bindings: &[read("settings"), write("seen"), write("logits"), write("state"), write("tokens"), write("result")],
    launch,
    cpu,
    fast: None,
};

fn launch(_: &[u8], profile: &Profile) -> Launch {
    Launch::from([ONE; 3]).with(vec![("THREADS", profile.crew())])
}

fn cpu(args: &Args<'_>) {
    let vocab = args.params::<Params>().vocab as usize;
    let (mut state, mut seen) = (args.u32_mut(4), args.u32_mut(2));
    let s: Settings = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&args.u32(1)[..5]));
    let mut logits = args.f32_mut(3);
    let logits = &mut logits[..vocab];
    for (i, v) in logits.iter_mut().enumerate() {
        if seen[i / 32] >> (i % 32) & 1 == 1 {
            *v = if *v > 0.0 { *v / s.repetition_penalty } else { *v * s.repetition_penalty };
        }
        *v /= s.temperature;
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shares: Vec<f32> = logits.iter().map(|v| (v - largest).exp()).collect();
    // In f64: one f32 sum over a vocabulary loses three digits that a tree of sums keeps.
    let mass = |from: f32| {
        let kept = logits.iter().zip(&shares).filter(|(v, _)| **v >= from);
        kept.map(|(_, share)| f64::from(*share)).sum::<f64>()
    };
    let mut cut = f32::NEG_INFINITY;
    if s.top_k > 0 {
        cut = highest(|from| logits.iter().filter(|v| **v >= from).count() >= (s.top_k as usize).min(vocab));
    }
    if s.top_p < 1.0 {
        let wanted = f64::from(s.top_p) * mass(cut);
        cut = cut.max(highest(|from| mass(from) >= wanted));
    }
    if s.min_p > 0.0 {
        cut = cut.max(largest + s.min_p.ln());
    }
    // The best is always kept, also by a top-p of 0.
    cut = cut.min(largest);
    let total = mass(cut);
    let target = f64::from(uniform(state[2], state[3], state[0] + state[1])) * total;
    let (mut sum, mut pick, mut kept) = (0.0, None, 0);
    for (i, share) in shares.iter().enumerate().filter(|(i, _)| logits[*i] >= cut) {
        kept += 1;
        let before = sum;
        sum += f64::from(*share);
        if before <= target {
            pick = Some(i);
        }
    }
    let id = pick.unwrap_or(0);
    let logprob = logits[id] - largest - total.ln() as f32;
    seen[id / 32] |= 1 << (id % 32);
    super::go_on(&mut state, &mut args.u32_mut(5), id as u32);
    args.u32_mut(6)[..4].copy_from_slice(&[id as u32, logprob.to_bits(), kept, 0]);
}

/// The highest finite float for which `holds`, by bisection over keys that order as floats do.
fn highest(holds: impl Fn(f32) -> bool) -> f32 {
    let (mut low, mut high) = (key(f32::MIN), key(f32::MAX));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if holds(from_key(middle)) { low = middle } else { high = middle - 1 }
    }
    from_key(low)
}

/// Bits of a float, changed so that unsigned order is float order.
fn key(v: f32) -> u32 {
    let bits = v.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn from_key(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

/// A number in [0, 1) from seed and position: two rounds of a 32-bit mixer, 24 bits of it.
fn uniform(seed: u32, seed_high: u32, position: u32) -> f32 {
    let mixed = mix(mix(seed ^ position.wrapping_mul(0x9E37_79B9)) ^ seed_high);
    (mixed >> 8) as f32 / 16_777_216.0
}

/// A bijective mixer of 32 bits (constants of the "lowbias32" search by C. Wellons).
fn mix(mut x: u32) -> u32 {
    x = (x ^ x >> 16).wrapping_mul(0x7FEB_352D);
    x = (x ^ x >> 15).wrapping_mul(0x846C_A68B);
    x ^ x >> 16
}
