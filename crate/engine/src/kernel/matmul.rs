//! Matrix times many vectors: as `matvec`, tiled over rows and tokens, for prefill.

use super::{Kernel, Launch, STATE, by, matvec, of, read, write};
use crate::device::{Args, Dim};

/// Rows and tokens of a tile on the GPU.
const TILE: u32 = 32;

/// `state`, then bindings and parameters as `matvec`. Grid: row tiles, token tiles, batch.
pub static MATMUL: Kernel = Kernel {
    name: "matmul",
    per_format: true,
    bindings: &[STATE, read("x"), read("norm"), read("weights"), read("scales"), write("y")],
    launch,
    cpu,
};

fn launch(params: &[u8]) -> Launch {
    let p: matvec::Params = of(params);
    [by(p.outputs(), TILE >> p.gated), Dim::Tokens(TILE), Dim::Fixed(p.batch)].into()
}

fn cpu(args: &Args<'_>) {
    matvec::run(args, 2);
}
