//! LayerNorm (Ba et al. 2016): `y[t] = (x[t] − mean) / sqrt(variance + eps) · weight + bias`. Unlike RMSNorm it has a step of its
//! own: few families have it.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, ONE, read, write};
use crate::device::{Args, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Floats of a token.
    pub width: u32,
    /// Added to the variance (config `rms_norm_eps`, so called by the families that have it).
    pub eps: f32,
}

/// `x [T, width]`, `weight` and `bias [width]`, `y [T, width]`. Grid: tokens.
pub static LAYER_NORM: Kernel = Kernel {
    name: "layer_norm",
    per_format: false,
    bindings: &[read("x"), read("weight"), read("bias"), write("y")],
    launch,
    cpu,
    fast: None,
};

fn launch(_: &[u8], _: &Profile) -> Launch {
    [EACH, ONE, ONE].into()
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (x, weight, bias, mut y) = (args.f32(1), args.f32(2), args.f32(3), args.f32_mut(4));
    let width = p.width as usize;
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)).take(args.tokens()) {
        let mean = x.iter().sum::<f32>() / width as f32;
        let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / width as f32;
        let inverse = 1.0 / (variance + p.eps).sqrt();
        for (i, y) in y.iter_mut().enumerate() {
            *y = (x[i] - mean) * inverse * weight[i] + bias[i];
        }
    }
}
