//! The pairs (token, choice) of a play by the expert they chose, in order: what `experts_matmul` walks over.

use bytemuck::{Pod, Zeroable};

use super::{Kernel, Launch, ONE, STATE, of, read, write};
use crate::device::{Args, Dim, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Experts, `E`.
    pub experts: u32,
    /// Experts chosen for a token, `k`.
    pub chosen: u32,
}

/// `state`, `chosen [T, k, 2]`, `sorted [E + 1 + T·k]`: where each expert's pairs start, where the last one's end, and the
/// pairs, `t·k + j` each. Grid: experts.
pub static EXPERTS_SORT: Kernel = Kernel {
    name: "experts_sort",
    per_format: false,
    bindings: &[STATE, read("chosen"), write("sorted")],
    launch,
    cpu,
    fast: None,
};

fn launch(params: &[u8], profile: &Profile) -> Launch {
    let threads = if profile.software() { 4 } else { 64 };
    let grid = [Dim::Fixed(of::<Params>(params).experts), ONE, ONE];
    Launch::from(grid).with(vec![("THREADS", threads)])
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let chosen = args.u32(2);
    let mut sorted = args.u32_mut(3);
    let (firsts, pairs) = sorted.split_at_mut(p.experts as usize + 1);
    let mut at = 0;
    for (e, first) in firsts.iter_mut().enumerate() {
        *first = at as u32;
        for pair in (0..args.tokens() * p.chosen as usize).filter(|pair| chosen[2 * pair] as usize == e) {
            pairs[at] = pair as u32;
            at += 1;
        }
    }
}
