//! Greedy choice: the id of the largest logit, the lowest among equals. The next play is of it.

use bytemuck::{Pod, Zeroable};

use super::{Kernel, Launch, ONE, fast, read, write};
use crate::device::{Args, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Number of logits, `V`.
    pub vocab: u32,
}

/// `logits [V]`, `state`, which goes on to the next play, `tokens [1]`, of which it is to be, `result [4]`: id, bits of its
/// log-probability, 0, 0. Grid: 1.
pub static ARGMAX: Kernel = Kernel {
    name: "argmax",
    per_format: false,
    bindings: &[read("logits"), write("state"), write("tokens"), write("result")],
    launch,
    cpu,
    fast: Some(fast::argmax),
};

fn launch(_: &[u8], profile: &Profile) -> Launch {
    Launch::from([ONE; 3]).with(vec![("THREADS", profile.crew())])
}

fn cpu(args: &Args<'_>) {
    let vocab = args.params::<Params>().vocab as usize;
    let logits = &args.f32(1)[..vocab];
    let mut best = 0;
    for (i, v) in logits.iter().enumerate() {
        if *v > logits[best] {
            best = i;
        }
    }
    // In f64: one f32 sum over a vocabulary loses three digits that a tree of sums keeps.
    let total: f64 = logits.iter().map(|v| f64::from((v - logits[best]).exp())).sum();
    super::go_on(&mut args.u32_mut(2), &mut args.u32_mut(3), best as u32);
    args.u32_mut(4)[..4].copy_from_slice(&[best as u32, (-total.ln() as f32).to_bits(), 0, 0]);
}
