//! SwiGLU of a dense feed-forward: `y = silu(gate) ⊙ up` (Shazeer 2020).

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, ONE, arithmetic, by, of, read, write};
use crate::device::{Args, Grid};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Floats of a token's output.
    pub width: u32,
}

/// `x [T, 2, width]` (gate, up), `y [T, width]`. Grid: floats by 64, tokens.
pub static SWIGLU: Kernel = Kernel { name: "swiglu", per_format: false, bindings: &[read("x"), write("y")], grid, cpu };

fn grid(params: &[u8]) -> Grid {
    let p: Params = of(params);
    [by(p.width, 64), EACH, ONE]
}

fn cpu(args: &Args<'_>) {
    let width = args.params::<Params>().width as usize;
    let x = args.f32(1);
    for (y, x) in args.f32_mut(2).chunks_exact_mut(width).zip(x.chunks_exact(2 * width)).take(args.tokens()) {
        let (gate, up) = x.split_at(width);
        for ((y, gate), up) in y.iter_mut().zip(gate).zip(up) {
            *y = arithmetic::silu(*gate) * up;
        }
    }
}
