//! Reads a buffer once, as fast as memory gives it: what kernels that read weights are measured against.

use bytemuck::{Pod, Zeroable};

use super::{Kernel, Launch, ONE, by, fast, of, read, write};
use crate::device::{Args, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Fours of words to read.
    pub quads: u32,
    /// Invocations that read them, in turn.
    pub readers: u32,
}

impl Params {
    /// As a step wants them.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        bytemuck::bytes_of(&self).to_vec()
    }
}

/// `data [quads, 4]`, `sums [readers, 4]`: quads `i`, `i + readers` and so on, put together by exclusive or. Grid: readers by 256.
pub static STREAM: Kernel = Kernel {
    name: "stream",
    per_format: false,
    bindings: &[read("data"), write("sums")],
    launch,
    cpu,
    fast: Some(fast::stream),
};

fn launch(params: &[u8], _: &Profile) -> Launch {
    let p: Params = of(params);
    [by(p.readers, 256), ONE, ONE].into()
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (data, mut sums) = (args.u32(1), args.u32_mut(2));
    let sums = &mut sums[..4 * p.readers as usize];
    sums.fill(0);
    for row in data[..4 * p.quads as usize].chunks(4 * p.readers as usize) {
        sums.iter_mut().zip(row).for_each(|(sum, word)| *sum ^= word);
    }
}
