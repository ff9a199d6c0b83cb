//! Puts the splits of attention together (Dao et al. 2023, "Flash-Decoding"), with a sink where a family has them: a logit of each
//! head that takes part in the softmax and has no value (Xiao et al. 2023, as learned in gpt-oss).

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, ONE, of, read, write};
use crate::device::{Args, Dim, Profile};

/// Parameters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Query heads.
    pub heads: u32,
    /// Floats of a head's output.
    pub width: u32,
    /// Splits.
    pub splits: u32,
    /// 1: heads have sinks; 0: not.
    pub sinks: u32,
}

impl Params {
    /// Most splits: the workgroup remembers a mark of each.
    pub(crate) const MOST: u32 = 32;
}

/// `x [T, splits, heads, width]`, `marks [T, splits, heads, 2]` as `attention` leaves them, `y [T, heads, width]`,
/// `sinks [heads]` (anything when unused). Grid:
/// heads, tokens.
pub static ATTENTION_MERGE: Kernel = Kernel {
    name: "attention_merge",
    per_format: false,
    bindings: &[read("x"), read("marks"), write("y"), read("sinks")],
    launch,
    cpu,
    fast: None,
};

fn launch(params: &[u8], _: &Profile) -> Launch {
    let p: Params = of(params);
    [Dim::Fixed(p.heads), EACH, ONE].into()
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (x, marks) = (args.f32(1), args.f32(2));
    let (mut y, sinks) = (args.f32_mut(3), args.f32(4));
    let (heads, width, splits) = (p.heads as usize, p.width as usize, p.splits as usize);
    for (i, y) in y.chunks_exact_mut(width).take(args.tokens() * heads).enumerate() {
        let rows = (0..splits).map(|s| (i / heads * splits + s) * heads + i % heads);
        let sink = (p.sinks == 1).then(|| sinks[i % heads]);
        let largest = rows.clone().map(|row| marks[2 * row]).chain(sink).fold(f32::MIN, f32::max);
        let share = |row: usize| (marks[2 * row] - largest).exp();
        let seen: f32 = rows.clone().map(|row| share(row) * marks[2 * row + 1]).sum();
        let total = seen + sink.map_or(0.0, |sink| (sink - largest).exp());
        y.fill(0.0);
        for row in rows {
            for (y, x) in y.iter_mut().zip(&x[row * width..][..width]) {
                *y += share(row) * x / total;
            }
        }
    }
}
