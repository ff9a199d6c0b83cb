//! What the chosen experts made, by their weights: `y[t] += Σ_j weight_j · x[t, j]`, in the order of choice.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, ONE, by, fast, of, read, write};
use crate::device::{Args, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Floats of a token: the hidden size, `H`.
    pub hidden: u32,
    /// Experts chosen for a token, `k`.
    pub chosen: u32,
}

/// `x [T, k, H]`, `chosen [T, k, 2]`, `y [T, H]`. Grid: floats by 64, tokens.
pub static COMBINE: Kernel = Kernel {
    name: "combine",
    per_format: false,
    bindings: &[read("x"), read("chosen"), write("y")],
    launch,
    cpu,
    fast: Some(fast::combine),
};

fn launch(params: &[u8], _: &Profile) -> Launch {
    let p: Params = of(params);
    [by(p.hidden, 64), EACH, ONE].into()
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (x, chosen) = (args.f32(1), args.u32(2));
    let (hidden, k) = (p.hidden as usize, p.chosen as usize);
    for (t, y) in args.f32_mut(3).chunks_exact_mut(hidden).take(args.tokens()).enumerate() {
        for (i, y) in y.iter_mut().enumerate() {
            // One after another, as `experts_down` adds them: the two agree to the bit.
            for pair in t * k..(t + 1) * k {
                *y += f32::from_bits(chosen[2 * pair + 1]) * x[pair * hidden + i];
            }
        }
    }
}
