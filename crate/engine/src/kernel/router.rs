//! The router whole: logits `W · norm(x)`, and the choice of experts from them as `topk` makes it; for small routers.

use super::{EACH, Kernel, Launch, ONE, arithmetic, fast, of, read, room, topk, whole, write};
use crate::device::{Args, Profile};
use crate::format::Format;

/// `x [T, H]`, `norm [H]`, planes `[E, H]` (or `E + 1`) in f32, `bias [E]`, `chosen [T, k + s, 2]`; parameters as `topk`. Grid: tokens.
pub static ROUTER: Kernel = Kernel {
    name: "router",
    per_format: false,
    bindings: &[read("x"), read("norm"), read("weights"), read("scales"), read("bias"), write("chosen")],
    launch,
    cpu,
    fast: Some(fast::router),
};

/// Whether routing is this one launch rather than a product and `topk`: where a workgroup reads the `[experts, hidden]` weights in
/// about the time that a launch takes, a megabyte of f32 for a token, less where every token of a chunk reads them, or where a
/// device has hundreds of workgroups that would wait for that one.
#[must_use]
pub fn routes(experts: usize, hidden: usize, tokens: usize, workgroups: u32) -> bool {
    let most = match (tokens, workgroups) {
        (1, 1) => 1 << 18,
        (1, _) => 1 << 14,
        _ => 1 << 16,
    };
    experts <= MOST && experts * hidden <= most
}

/// Most experts, by the workgroup memory that every device has.
const MOST: usize = 512;

fn launch(params: &[u8], profile: &Profile) -> Launch {
    let p: topk::Params = of(params);
    let lanes = profile.lanes(p.hidden);
    // Four rows a group of lanes.
    let threads = (lanes * p.logits().div_ceil(4)).next_power_of_two().clamp(16, 256);
    Launch::from([EACH, ONE, ONE]).with(vec![
        ("LANES", lanes),
        ("THREADS", threads),
        room(p.logits()),
        whole(p.hidden, 0),
    ])
}

fn cpu(args: &Args<'_>) {
    let p: topk::Params = args.params();
    let (x, norm, weights, bias) = (args.f32(1), args.f32(2), args.u32(3), args.f32(5));
    let mut chosen = args.u32_mut(6);
    for (t, x) in x.chunks_exact(p.hidden as usize).take(args.tokens()).enumerate() {
        let x = arithmetic::norm(x, &norm, p.norm_eps);
        let logits: Vec<f32> = (0..p.logits() as usize).map(|e| Format::F32.dot(&weights, &[], e, &x)).collect();
        topk::choose(&p, &logits, &bias, t, &mut chosen);
    }
}
