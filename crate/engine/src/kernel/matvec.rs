//! Matrix times few vectors: `y[t] (+)= W · x[t]`, for decode.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, ONE, by, of, read, write};
use crate::device::{Args, Grid};

/// Parameters, shared with `matmul`. Strides and offsets are in floats.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Rows of the matrix: outputs, `N`.
    pub rows: u32,
    /// Columns of the matrix: inputs, `K`.
    pub cols: u32,
    /// Distance between tokens in `x`.
    pub x_stride: u32,
    /// Distance between tokens in `y`.
    pub y_stride: u32,
    /// 1: add to `y` (a residual); 0: replace it.
    pub accumulate: u32,
}

/// `x [T, x_stride]`, planes `[N, K]`, `y [T, y_stride]`. Grid: rows by 16, tokens.
pub static MATVEC: Kernel = Kernel {
    name: "matvec",
    per_format: true,
    bindings: &[read("x"), read("weights"), read("scales"), write("y")],
    grid,
    cpu,
};

fn grid(params: &[u8]) -> Grid {
    let p: Params = of(params);
    [by(p.rows, 16), EACH, ONE]
}

fn cpu(args: &Args<'_>) {
    run(args, 1);
}

/// The product, with the bindings from `x` on starting at `first`.
pub(super) fn run(args: &Args<'_>, first: usize) {
    let p: Params = args.params();
    let (x, weights, scales) = (args.f32(first), args.u32(first + 1), args.u32(first + 2));
    let mut y = args.f32_mut(first + 3);
    let (rows, cols, format) = (p.rows as usize, p.cols as usize, args.format());
    for t in 0..args.tokens() {
        let x = &x[t * p.x_stride as usize..][..cols];
        let y = &mut y[t * p.y_stride as usize..][..rows];
        for (row, y) in y.iter_mut().enumerate() {
            let sum = format.dot(&weights, &scales, row, x);
            *y = if p.accumulate == 1 { *y + sum } else { sum };
        }
    }
}
