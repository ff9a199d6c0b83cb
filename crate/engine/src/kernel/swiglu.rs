//! SwiGLU of a dense feed-forward: `y = silu(gate) ⊙ up` (Shazeer 2020).

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, ONE, by, of, read, silu, write};
use crate::device::{Args, Grid};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Floats of a token.
    pub width: u32,
}

/// `gate [T, width]`, `up [T, width]`, `y [T, width]`. Grid: floats by 64, tokens.
pub static SWIGLU: Kernel =
    Kernel { name: "swiglu", per_format: false, bindings: &[read("gate"), read("up"), write("y")], grid, cpu };

fn grid(params: &[u8]) -> Grid {
    let p: Params = of(params);
    [by(p.width, 64), EACH, ONE]
}

fn cpu(args: &Args<'_>) {
    let count = args.tokens() * args.params::<Params>().width as usize;
    let (gate, up) = (args.f32(1), args.f32(2));
    for ((y, gate), up) in args.f32_mut(3)[..count].iter_mut().zip(gate.iter()).zip(up.iter()) {
        *y = silu(*gate) * up;
    }
}
