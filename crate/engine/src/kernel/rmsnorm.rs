//! RMSNorm of groups of each token: `y = x · rsqrt(mean(x²) + eps) · weight` (Zhang & Sennrich 2019).

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, ONE, of, read, write};
use crate::device::{Args, Dim, Grid};

/// Parameters. Strides and offsets are in floats; group `g` of token `t` starts at `offset + t·stride + g·width`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Length of a group.
    pub width: u32,
    /// Groups in a token: 1 for a layer norm, the number of heads for a head norm.
    pub groups: u32,
    /// Distance between tokens in `x`.
    pub x_stride: u32,
    /// Distance between tokens in `y`.
    pub y_stride: u32,
    /// Added to the mean of squares (config `rms_norm_eps`).
    pub eps: f32,
}

/// `x [T, x_stride]`, `weight [width]`, `y [T, y_stride]`. Grid: groups, tokens.
pub static RMSNORM: Kernel =
    Kernel { name: "rmsnorm", per_format: false, bindings: &[read("x"), read("weight"), write("y")], grid, cpu };

fn grid(params: &[u8]) -> Grid {
    let p: Params = of(params);
    [Dim::Fixed(p.groups), EACH, ONE]
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (x, weight) = (args.f32(1), args.f32(2));
    let mut y = args.f32_mut(3);
    let width = p.width as usize;
    for t in 0..args.tokens() {
        for g in 0..p.groups as usize {
            let x = &x[t * p.x_stride as usize + g * width..][..width];
            let y = &mut y[t * p.y_stride as usize + g * width..][..width];
            let mean = x.iter().map(|v| v * v).sum::<f32>() / width as f32;
            let inverse = 1.0 / (mean + p.eps).sqrt();
            for ((y, x), w) in y.iter_mut().zip(x).zip(weight.iter()) {
                *y = x * inverse * w;
            }
        }
    }
}
