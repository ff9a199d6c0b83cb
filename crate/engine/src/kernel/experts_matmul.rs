//! Products with the chosen experts for many tokens: `y[t, j] = W_j · n`, or `silu(W_gate,j · n) ⊙ (W_up,j · n)`; for prefill.

use bytemuck::{Pod, Zeroable};

use super::{Kernel, Launch, ONE, arithmetic, by, fast, matmul, of, read, whole, write};
use crate::device::{Args, Dim, Profile};

/// Parameters; records as in `experts_up`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Rows of an expert's matrix here, `N`.
    pub rows: u32,
    /// Its columns, `K`.
    pub cols: u32,
    /// Experts, `E`.
    pub experts: u32,
    /// Pairs (token, choice) in turn that have one input: `k` where the input is the token's, 1 where it is the pair's.
    pub sharing: u32,
    /// Words of a record.
    pub stride: u32,
    /// Word of a record where the weight plane `[N, K]` starts.
    pub weights: u32,
    /// Word of a record where its scale plane starts.
    pub scales: u32,
    /// 1: even rows are gates, odd rows ups, and an output is `silu(gate) · up`; 0: an output is a row's product.
    pub gated: u32,
    /// 1: the input is normed, as in `matvec`; 0: not.
    pub norm: u32,
    /// Added to the mean of squares (config `rms_norm_eps`).
    pub eps: f32,
    /// Word of a record where the biases of the rows start; 0: there are none.
    pub bias: u32,
    /// Limit of gates and ups (config `swiglu_limit`), see `swiglu`; 0: none.
    pub limit: f32,
    /// Outputs of a pair in `y`: more than those made here where records are shared out.
    pub outputs: u32,
    /// First of those made here.
    pub first: u32,
}

/// `x [T·k/sharing, K]`, `norm [K]` (anything when unused), `sorted` (see `experts_sort`), `slots [E]`, `pool` (records),
/// `y [T, k, outputs]`. Grid: row tiles or strips as `matmul`, experts.
pub static EXPERTS_MATMUL: Kernel = Kernel {
    name: "experts_matmul",
    per_format: true,
    bindings: &[read("x"), read("norm"), read("sorted"), read("slots"), read("pool"), write("y")],
    launch,
    cpu,
    fast: Some(fast::experts_matmul),
};

fn launch(params: &[u8], profile: &Profile) -> Launch {
    let p: Params = of(params);
    let subgroups = profile.software() && p.cols.is_multiple_of(32);
    let rows = if subgroups { matmul::STRIP.0 } else { matmul::TILE };
    let constants = vec![("NORM", p.norm), ("GATED", p.gated), whole(p.cols, 0)];
    Launch { grid: [by(p.rows, rows), Dim::Fixed(p.experts), ONE], constants, subgroups }
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (x, weight) = (args.f32(1), args.f32(2));
    let (sorted, slots, pool) = (args.u32(3), args.u32(4), args.u32(5));
    let mut y = args.f32_mut(6);
    let (cols, made, experts) = (p.cols as usize, (p.rows >> p.gated) as usize, p.experts as usize);
    let (firsts, pairs) = sorted.split_at(experts + 1);
    for e in 0..experts {
        let record = arithmetic::record(&pool, &slots, e as u32, p.stride);
        let (weights, scales) = (&record[p.weights as usize..], &record[p.scales as usize..]);
        for pair in &pairs[firsts[e] as usize..firsts[e + 1] as usize] {
            let x = &x[(pair / p.sharing) as usize * cols..][..cols];
            let x = arithmetic::input(x, (p.norm == 1).then_some((&weight, p.eps)));
            let product = |row| args.format().dot(weights, scales, row, &x) + arithmetic::bias(record, p.bias, row);
            let start = (pair * p.outputs + p.first) as usize;
            for (i, y) in y[start..][..made].iter_mut().enumerate() {
                *y = match p.gated {
                    1 => arithmetic::swiglu(product(2 * i), product(2 * i + 1), p.limit),
                    _ => product(i),
                };
            }
        }
    }
}
