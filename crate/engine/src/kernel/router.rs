//! The router whole: logits `W · norm(x)`, and the choice of experts from them as `topk` makes it; for decode.

use super::{EACH, Kernel, Launch, ONE, arithmetic, of, read, topk, write};
use crate::device::{Args, Profile};
use crate::format::Format;

/// `x [T, H]`, `norm [H]`, planes `[E, H]` in f32, `bias [E]`, `chosen [T, k + s, 2]`; parameters as `topk`. Grid: tokens.
pub static ROUTER: Kernel = Kernel {
    name: "router",
    per_format: false,
    bindings: &[read("x"), read("norm"), read("weights"), read("scales"), read("bias"), write("chosen")],
    launch,
    cpu,
};

/// Most weights of a router that one workgroup should read: a megabyte of f32, about what a launch takes.
pub const ROUTER_WEIGHTS: usize = 1 << 18;

fn launch(params: &[u8], profile: &Profile) -> Launch {
    let p: topk::Params = of(params);
    let lanes = profile.lanes(p.hidden);
    // Four rows a group of lanes.
    let threads = (lanes * p.experts.div_ceil(4)).next_power_of_two().clamp(16, 256);
    Launch::from([EACH, ONE, ONE]).with(vec![("LANES", lanes), ("THREADS", threads)])
}

fn cpu(args: &Args<'_>) {
    let p: topk::Params = args.params();
    let (x, norm, weights, bias) = (args.f32(1), args.f32(2), args.u32(3), args.f32(5));
    let mut chosen = args.u32_mut(6);
    for (t, x) in x.chunks_exact(p.hidden as usize).take(args.tokens()).enumerate() {
        let x = arithmetic::norm(x, &norm, p.norm_eps);
        let logits: Vec<f32> = (0..p.experts as usize).map(|e| Format::F32.dot(&weights, &[], e, &x)).collect();
        topk::choose(&p, &logits, &bias, t, &mut chosen);
    }
}
