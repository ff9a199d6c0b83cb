//! Second half of the routed experts: `y[t] += Σ_j weight_j · (W_down,j · x[t, j] + b_j)`, in the order of choice.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, ONE, arithmetic, fast, of, read, whole, write};
use crate::device::{Args, Profile};

/// Parameters; records as in `experts_up`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Outputs made here: the hidden size, `H`, unless records are shared out.
    pub hidden: u32,
    /// Columns: the expert width, `I`.
    pub width: u32,
    /// Experts chosen for a token, `k`.
    pub chosen: u32,
    /// Words of a record.
    pub stride: u32,
    /// Word of a record where the down weight plane `[H, I]` starts.
    pub weights: u32,
    /// Word of a record where its scale plane starts.
    pub scales: u32,
    /// Word of a record where the biases `[H]` start; 0: there are none.
    pub bias: u32,
    /// Outputs of a token in `y`: more than those made here where records are shared out.
    pub outputs: u32,
    /// First of those made here.
    pub first: u32,
}

/// `x [T, k, I]`, `chosen [T, k, 2]`, `slots [E]`, `pool` (records), `y [T, outputs]`. Grid: rows by four a group of lanes, tokens.
pub static EXPERTS_DOWN: Kernel = Kernel {
    name: "experts_down",
    per_format: true,
    bindings: &[read("x"), read("chosen"), read("slots"), read("pool"), write("y")],
    launch,
    cpu,
    fast: Some(fast::experts_down),
};

fn launch(params: &[u8], profile: &Profile) -> Launch {
    let p: Params = of(params);
    let (groups, chosen) = (p.hidden.div_ceil(4), p.chosen.next_power_of_two());
    let lanes = profile.wide_lanes(p.width.next_power_of_two() * chosen, groups);
    // Eight read 32 bytes in a row of int4, which is what memory gives at once.
    let share = (lanes / chosen).max(lanes.min(8)).min(profile.wide_lanes(p.width, groups));
    let launch = Launch::lanes(groups, [EACH, ONE], lanes, profile);
    launch.with(vec![("SHARE", share), whole(p.width, 0)])
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (x, chosen, slots, pool) = (args.f32(1), args.u32(2), args.u32(3), args.u32(4));
    let mut y = args.f32_mut(5);
    let (hidden, width, k) = (p.hidden as usize, p.width as usize, p.chosen as usize);
    for t in 0..args.tokens() {
        let y = &mut y[t * p.outputs as usize + p.first as usize..][..hidden];
        for j in t * k..(t + 1) * k {
            let weight = f32::from_bits(chosen[2 * j + 1]);
            let record = arithmetic::record(&pool, &slots, chosen[2 * j], p.stride);
            let (weights, scales) = (&record[p.weights as usize..], &record[p.scales as usize..]);
            let x = &x[j * width..][..width];
            for (i, y) in y.iter_mut().enumerate() {
                *y += weight * (args.format().dot(weights, scales, i, x) + arithmetic::bias(record, p.bias, i));
            }
        }
    }
}
