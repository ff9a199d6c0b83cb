//! Token embedding: `x[t] = scale · table[tokens[t]]`, of tokens that the table has.

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, ONE, by, of, read, write};
use crate::device::{Args, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Width of a row, `H`.
    pub width: u32,
    /// Factor of the embeddings (config `embedding_multiplier`).
    pub scale: f32,
    /// The token of the table's first row.
    pub first: u32,
    /// Its rows: other tokens are another launch's.
    pub rows: u32,
}

/// `tokens [T]`, table planes `[V, H]`, `x [T, H]`. Grid: floats by 2,048, tokens.
pub static EMBED: Kernel = Kernel {
    name: "embed",
    per_format: true,
    bindings: &[read("tokens"), read("weights"), read("scales"), write("x")],
    launch,
    cpu,
    fast: None,
};

fn launch(params: &[u8], _: &Profile) -> Launch {
    let p: Params = of(params);
    [by(p.width, 2048), EACH, ONE].into()
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let width = p.width as usize;
    let (tokens, weights, scales) = (args.u32(1), args.u32(2), args.u32(3));
    let mut x = args.f32_mut(4);
    for (row, token) in x.chunks_exact_mut(width).zip(&tokens[..args.tokens()]) {
        let at = token.wrapping_sub(p.first);
        if at < p.rows {
            args.format().decode_row(&weights, &scales, at as usize, row);
            row.iter_mut().for_each(|v| *v *= p.scale);
        }
    }
}
