//! Matrix times few vectors: `y[t] (+)= scale · (W · n + b)`, `n = x[t]` or `norm(x[t])`, or `silu(W_gate · n) ⊙ (W_up · n)`
//! for `W · n`; for decode.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, arithmetic, fast, of, read, write};
use crate::device::{Args, Dim, Profile};

/// Parameters, shared with `matmul`. Strides and steps are in floats. A batch is several products of one launch, each with
/// rows of the one matrix and a part of every token: in latent attention a head's values.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Rows of a product, `N`.
    pub rows: u32,
    /// Columns of the matrix: inputs, `K`.
    pub cols: u32,
    /// Distance between tokens in `x`.
    pub x_stride: u32,
    /// Distance between tokens in `y`.
    pub y_stride: u32,
    /// 1: add to `y` (a residual); 0: replace it.
    pub accumulate: u32,
    /// 1: the input is `x · rsqrt(mean(x²) + eps) · norm` over the columns (RMSNorm); 0: it is `x`.
    pub norm: u32,
    /// Added to the mean of squares (config `rms_norm_eps`).
    pub eps: f32,
    /// 1: the upper half of the rows are gates, the lower half ups, and an output is `silu(gate) · up` (SwiGLU, Shazeer
    /// 2020); 0: an output is a row's product.
    pub gated: u32,
    /// Products in the batch; 1 where there is no more to say.
    pub batch: u32,
    /// First row of the first product.
    pub row_first: u32,
    /// Rows from one product to the next.
    pub row_step: u32,
    /// From one product to the next in a token of `x`.
    pub x_step: u32,
    /// From one product to the next in a token of `y`.
    pub y_step: u32,
    /// 1: outputs have a bias; 0: not.
    pub bias: u32,
    /// Factor of the outputs (config `residual_multiplier`, `logits_scaling`).
    pub scale: f32,
    /// Where the outputs start in those of a token, and their biases: above 0 where rows of a larger matrix are in a buffer of
    /// their own.
    pub first: u32,
}

impl Params {
    /// `y = W·x` of whole tokens.
    #[must_use]
    pub fn plain(rows: u32, cols: u32) -> Self {
        Params { rows, cols, x_stride: cols, y_stride: rows, batch: 1, scale: 1.0, ..Zeroable::zeroed() }
    }

    /// As a step wants them.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        bytemuck::bytes_of(&self).to_vec()
    }

    /// Constants of the shaders.
    pub(super) fn constants(&self) -> Vec<(&'static str, u32)> {
        vec![
            ("NORM", self.norm),
            ("GATED", self.gated),
            ("BIAS", self.bias),
            super::whole(self.cols, self.x_stride | self.x_step),
        ]
    }

    /// Outputs of a token.
    pub(super) fn outputs(&self) -> u32 {
        self.rows >> self.gated
    }
}

/// `x [T, x_stride]`, `norm [K]` (anything when unused), planes `[at least N, K]`, `y [T, y_stride]`, `bias [first + N]`
/// (likewise). Grid: outputs by four or two a group of lanes, tokens, batch.
pub static MATVEC: Kernel = Kernel {
    name: "matvec",
    per_format: true,
    bindings: &[read("x"), read("norm"), read("weights"), read("scales"), write("y"), read("bias")],
    launch,
    cpu,
    fast: Some(fast::matvec),
};

fn launch(params: &[u8], profile: &Profile) -> Launch {
    let p: Params = of(params);
    let groups = p.outputs().div_ceil(4 >> p.gated);
    let lanes = profile.wide_lanes(p.cols, groups * p.batch);
    Launch::lanes(groups, [EACH, Dim::Fixed(p.batch)], lanes, profile).with(p.constants())
}

fn cpu(args: &Args<'_>) {
    run(args, 1);
}

/// The product, with the bindings from `x` on starting at `first`.
pub(super) fn run(args: &Args<'_>, first: usize) {
    let p: Params = args.params();
    let (x, weight) = (args.f32(first), args.f32(first + 1));
    let (weights, scales) = (args.u32(first + 2), args.u32(first + 3));
    let (mut y, bias) = (args.f32_mut(first + 4), args.f32(first + 5));
    let (rows, cols, format) = (p.rows as usize, p.cols as usize, args.format());
    for (t, i) in (0..args.tokens()).flat_map(|t| (0..p.batch as usize).map(move |i| (t, i))) {
        let x = &x[t * p.x_stride as usize + i * p.x_step as usize..][..cols];
        let x = arithmetic::input(x, (p.norm == 1).then_some((&weight, p.eps)));
        let start = t * p.y_stride as usize + i * p.y_step as usize + p.first as usize;
        let y = &mut y[start..][..p.outputs() as usize];
        let first = p.row_first as usize + i * p.row_step as usize;
        let product = |row| format.dot(&weights, &scales, first + row, &x);
        for (row, y) in y.iter_mut().enumerate() {
            let value =
                if p.gated == 1 { arithmetic::silu(product(row)) * product(row + rows / 2) } else { product(row) };
            let value = p.scale * if p.bias == 1 { value + bias[p.first as usize + row] } else { value };
            *y = if p.accumulate == 1 { *y + value } else { value };
        }
    }
}
