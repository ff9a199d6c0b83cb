//! The last token of a play: its row alone goes on to the head.

use bytemuck::{Pod, Zeroable};

use super::{Kernel, Launch, ONE, STATE, by, of, read, write};
use crate::device::{Args, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Floats of a token.
    pub width: u32,
}

/// `state`, `x [T, width]`, `y [width]`. Grid: floats by 64.
pub static LAST: Kernel =
    Kernel { name: "last", per_format: false, bindings: &[STATE, read("x"), write("y")], launch, cpu, fast: None };

fn launch(params: &[u8], _: &Profile) -> Launch {
    let p: Params = of(params);
    [by(p.width, 64), ONE, ONE].into()
}

fn cpu(args: &Args<'_>) {
    let width = args.params::<Params>().width as usize;
    args.f32_mut(3)[..width].copy_from_slice(&args.f32(2)[(args.tokens() - 1) * width..][..width]);
}
