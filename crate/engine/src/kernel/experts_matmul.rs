//! Products with the chosen experts for many tokens: `y[t, j] = W_j · n`, or `silu(W_gate,j · n) ⊙ (W_up,j · n)`; for prefill.

use bytemuck::{Pod, Zeroable};

use super::{Kernel, Launch, ONE, STATE, arithmetic, by, of, read, write};
use crate::device::{Args, Dim};

/// Parameters; records as in `experts_up`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Rows of an expert's matrix, `N`.
    pub rows: u32,
    /// Its columns, `K`.
    pub cols: u32,
    /// Routed experts, `E`.
    pub experts: u32,
    /// Experts chosen for a token, `k`.
    pub chosen: u32,
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
}

/// `state`, `x [T·k/sharing, K]`, `norm [K]` (anything when unused), `chosen [T, k, 2]`, `slots [E]`, `pool` (records),
/// `y [T, k, N or N/2]`. Grid: outputs by 32 or 16, experts.
pub static EXPERTS_MATMUL: Kernel = Kernel {
    name: "experts_matmul",
    per_format: true,
    bindings: &[STATE, read("x"), read("norm"), read("chosen"), read("slots"), read("pool"), write("y")],
    launch,
    cpu,
};

fn launch(params: &[u8]) -> Launch {
    let p: Params = of(params);
    [by(p.rows, 32), Dim::Fixed(p.experts), ONE].into()
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (x, weight) = (args.f32(2), args.f32(3));
    let (chosen, slots, pool) = (args.u32(4), args.u32(5), args.u32(6));
    let mut y = args.f32_mut(7);
    let (cols, outputs, k) = (p.cols as usize, (p.rows >> p.gated) as usize, p.chosen as usize);
    for (pair, y) in y.chunks_exact_mut(outputs).take(args.tokens() * k).enumerate() {
        let x = &x[pair / p.sharing as usize * cols..][..cols];
        let x = arithmetic::input(x, (p.norm == 1).then_some((&weight, p.eps)));
        let record = arithmetic::record(&pool, &slots, chosen[2 * pair], p.stride);
        let product = |row| args.format().dot(&record[p.weights as usize..], &record[p.scales as usize..], row, &x);
        for (i, y) in y.iter_mut().enumerate() {
            *y = if p.gated == 1 { arithmetic::silu(product(2 * i)) * product(2 * i + 1) } else { product(i) };
        }
    }
}
