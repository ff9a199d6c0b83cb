//! Copies a run of floats of each token: into the KV cache, between layouts, or of the last token alone.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, ONE, by, of, read, write};
use crate::device::{Args, Grid};

/// Parameters, in floats. From `t·x_stride + x_offset` to `(t + position)·y_stride + y_offset`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Floats copied for each token.
    pub width: u32,
    /// Distance between tokens in `x`.
    pub x_stride: u32,
    /// Where the run starts in a token of `x`.
    pub x_offset: u32,
    /// Distance between tokens in `y`.
    pub y_stride: u32,
    /// Where the run starts in a token of `y`.
    pub y_offset: u32,
    /// 1: tokens of `y` count from the start of the context (a cache); 0: from the start of the play.
    pub at_position: u32,
    /// 1: copy only the play's last token, to token 0 of `y`; 0: copy all.
    pub last: u32,
}

/// `state`, `x [T, x_stride]`, `y [T or context, y_stride]`. Grid: floats by 64, tokens (1 when `last`).
pub static COPY: Kernel =
    Kernel { name: "copy", per_format: false, bindings: &[read("state"), read("x"), write("y")], grid, cpu };

fn grid(params: &[u8]) -> Grid {
    let p: Params = of(params);
    [by(p.width, 64), if p.last == 1 { ONE } else { EACH }, ONE]
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (state, x) = (args.u32(1), args.f32(2));
    let mut y = args.f32_mut(3);
    let width = p.width as usize;
    let first = if p.last == 1 { args.tokens() - 1 } else { 0 };
    let shift = if p.at_position == 1 { state[0] as usize } else { 0 };
    for t in first..args.tokens() {
        let from = t * p.x_stride as usize + p.x_offset as usize;
        let to = (t - first + shift) * p.y_stride as usize + p.y_offset as usize;
        y[to..to + width].copy_from_slice(&x[from..from + width]);
    }
}
