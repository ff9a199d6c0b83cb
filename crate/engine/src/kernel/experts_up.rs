//! First half of the routed experts: `y[t, j] = silu(W_gate · n) ⊙ (W_up · n)` for each chosen expert `j`, `n = norm(x[t])`
//! or `x[t]`.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, arithmetic, fast, of, read, whole, write};
use crate::device::{Args, Dim, Profile};

/// Parameters. An expert is a *record* of `stride` words in the pool, at `slots[expert]·stride`. Row `2i` of its
/// gate-up matrix is gate `i`, row `2i + 1` is up `i`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Columns: the hidden size, `H`.
    pub hidden: u32,
    /// Outputs made here: the expert width, `I`, unless records are shared out.
    pub width: u32,
    /// Experts chosen for a token, `k`.
    pub chosen: u32,
    /// Words of a record.
    pub stride: u32,
    /// Word of a record where the gate-up weight plane `[2I, H]` starts.
    pub weights: u32,
    /// Word of a record where its scale plane starts.
    pub scales: u32,
    /// Added to the mean of squares (config `rms_norm_eps`).
    pub eps: f32,
    /// 1: the input is normed as in `matvec`; 0: it is `x`.
    pub norm: u32,
    /// Word of a record where the biases `[2I]` start, by row as the matrix; 0: there are none.
    pub bias: u32,
    /// Limit of gates and ups (config `swiglu_limit`), see `swiglu`; 0: none.
    pub limit: f32,
    /// Outputs of a pair in `y`: more than those made here where records are shared out.
    pub outputs: u32,
    /// First of those made here.
    pub first: u32,
}

/// `x [T, H]`, `norm [H]` (anything when unused), `chosen [T, k, 2]`, `slots [E]`, `pool` (records), `y [T, k, outputs]`. Grid: outputs by two a group of lanes, chosen, tokens.
pub static EXPERTS_UP: Kernel = Kernel {
    name: "experts_up",
    per_format: true,
    bindings: &[read("x"), read("norm"), read("chosen"), read("slots"), read("pool"), write("y")],
    launch,
    cpu,
    fast: Some(fast::experts_up),
};

fn launch(params: &[u8], profile: &Profile) -> Launch {
    let p: Params = of(params);
    let groups = p.width.div_ceil(2);
    let lanes = profile.wide_lanes(p.hidden, groups * p.chosen);
    let launch = Launch::lanes(groups, [Dim::Fixed(p.chosen), EACH], lanes, profile);
    launch.with(vec![("NORM", p.norm), whole(p.hidden, 0)])
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (x, weight) = (args.f32(1), args.f32(2));
    let (chosen, slots, pool) = (args.u32(3), args.u32(4), args.u32(5));
    let mut y = args.f32_mut(6);
    let (hidden, width, k) = (p.hidden as usize, p.width as usize, p.chosen as usize);
    for t in 0..args.tokens() {
        let x = arithmetic::input(&x[t * hidden..][..hidden], (p.norm == 1).then_some((&weight, p.eps)));
        for j in t * k..(t + 1) * k {
            let record = arithmetic::record(&pool, &slots, chosen[2 * j], p.stride);
            let (weights, scales) = (&record[p.weights as usize..], &record[p.scales as usize..]);
            let dot = |row| args.format().dot(weights, scales, row, &x) + arithmetic::bias(record, p.bias, row);
            for (i, y) in y[j * p.outputs as usize + p.first as usize..][..width].iter_mut().enumerate() {
                *y = arithmetic::swiglu(dot(2 * i), dot(2 * i + 1), p.limit);
            }
        }
    }
}
