//! Matrix times many vectors: as `matvec`, tiled over rows and tokens, for prefill.

use super::{Kernel, Launch, STATE, by, fast, matvec, of, read, write};
use crate::device::{Args, Dim, Profile};

/// Rows and tokens of a tile on the GPU.
pub(super) const TILE: u32 = 32;
/// Rows and tokens of a strip.
pub(super) const STRIP: (u32, u32) = (128, 16);

/// `state`, then bindings and parameters as `matvec`. Grid: row tiles, token tiles, batch; or strips, on software adapters
/// with subgroup operations and for inputs of whole blocks.
pub static MATMUL: Kernel = Kernel {
    name: "matmul",
    per_format: true,
    bindings: &[STATE, read("x"), read("norm"), read("weights"), read("scales"), write("y"), read("bias")],
    launch,
    cpu,
    fast: Some(fast::matmul),
};

fn launch(params: &[u8], profile: &Profile) -> Launch {
    let p: matvec::Params = of(params);
    let whole = p.cols.is_multiple_of(32) && (p.x_stride | p.x_step).is_multiple_of(4);
    let subgroups = profile.software() && whole;
    let (rows, tokens) = if subgroups { STRIP } else { (TILE, TILE) };
    let grid = [by(p.rows, rows), Dim::Tokens(tokens), Dim::Fixed(p.batch)];
    Launch { grid, constants: p.constants(), subgroups }
}

fn cpu(args: &Args<'_>) {
    matvec::run(args, 2);
}
