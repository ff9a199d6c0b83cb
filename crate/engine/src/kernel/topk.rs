//! Routing: from router logits to the chosen experts and their weights (DeepSeek-V3 §2.1.2; Qwen3-MoE).

use bytemuck::{Pod, Zeroable};

use super::{EACH, Kernel, Launch, ONE, of, read, room, write};
use crate::device::{Args, Profile};

/// Parameters. `MODELS`' families set them; all arithmetic is f32.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
pub struct Params {
    /// Routed experts, `E`.
    pub experts: u32,
    /// Experts chosen for a token, `k`.
    pub chosen: u32,
    /// 0: scores are a softmax of the logits; 1: a sigmoid of each.
    pub sigmoid: u32,
    /// Groups the experts are split into (config `n_group`); 1 for none.
    pub groups: u32,
    /// Groups kept (config `topk_group`), by the sum of their two largest biased scores.
    pub top_groups: u32,
    /// 1: divide the chosen weights by their sum (config `norm_topk_prob`).
    pub normalise: u32,
    /// Added to that sum.
    pub eps: f32,
    /// Factor of the weights (config `routed_scaling_factor`).
    pub scale: f32,
    /// Shared experts, `s`: numbered after the routed ones, chosen by every token.
    pub shared_experts: u32,
    /// Their weight.
    pub shared_weight: f32,
    /// 1: that is multiplied by a sigmoid of a logit more, the last one (Qwen2-MoE); 0: not.
    pub shared_gate: u32,
    /// Columns of the router, the hidden size; for `router`.
    pub hidden: u32,
    /// Epsilon of the norm before it (config `rms_norm_eps`); for `router`.
    pub norm_eps: f32,
    /// Above 0: sparsemixer (Liu et al. 2023) by this tolerance (config `router_jitter_noise`). Each choice is by the logits
    /// and weighs its softmax among the experts not yet chosen that are not far below it. 0: not.
    pub jitter: f32,
}

impl Params {
    /// Logits of a token.
    pub(super) fn logits(&self) -> u32 {
        self.experts + self.shared_gate
    }
}

/// `logits [T, E]` (or `E + 1`), `bias [E]` (added for choosing only), `chosen [T, k + s, 2]`: expert id, bits of its weight, in
/// order of falling biased score, the lower id first among equals; then the shared ones. Grid: tokens.
pub static TOPK: Kernel = Kernel {
    name: "topk",
    per_format: false,
    bindings: &[read("logits"), read("bias"), write("chosen")],
    launch,
    cpu,
    fast: None,
};

fn launch(params: &[u8], _: &Profile) -> Launch {
    Launch::from([EACH, ONE, ONE]).with(vec![room(of::<Params>(params).logits())])
}

fn cpu(args: &Args<'_>) {
    let p: Params = args.params();
    let (logits, bias) = (args.f32(1), args.f32(2));
    let mut chosen = args.u32_mut(3);
    for (t, logits) in logits.chunks_exact(p.logits() as usize).take(args.tokens()).enumerate() {
        choose(&p, logits, &bias, t, &mut chosen);
    }
}

/// Writes what token `t` chooses by its logits.
pub(super) fn choose(p: &Params, logits: &[f32], bias: &[f32], t: usize, chosen: &mut [u32]) {
    let (k, shared) = (p.chosen as usize, p.shared_experts as usize);
    let (logits, gate) = logits.split_at(p.experts as usize);
    let mixer = p.jitter > 0.0;
    let scores: Vec<f32> = match p.sigmoid {
        _ if mixer => logits.to_vec(),
        1 => logits.iter().copied().map(sigmoid).collect(),
        _ => softmax(logits),
    };
    let mut biased: Vec<f32> = scores.iter().zip(bias.iter()).map(|(s, b)| s + b).collect();
    mask_groups(&mut biased, p.groups as usize, p.top_groups as usize);
    let picks: Vec<usize> = (0..k).map(|_| take_largest(&mut biased)).collect();
    let sum: f32 = picks.iter().map(|e| scores[*e]).sum();
    let factor = if p.normalise == 1 { p.scale / (sum + p.eps) } else { p.scale };
    let weight = |j: usize| {
        if mixer { mixed(&scores, &picks[..=j], p.jitter) * p.scale } else { scores[picks[j]] * factor }
    };
    let routed = picks.iter().enumerate().map(|(j, e)| (*e as u32, weight(j)));
    let share = if p.shared_gate == 1 { p.shared_weight * sigmoid(gate[0]) } else { p.shared_weight };
    let all = routed.chain((0..p.shared_experts).map(|j| (p.experts + j, share)));
    for (out, (e, weight)) in chosen[t * (k + shared) * 2..].chunks_exact_mut(2).zip(all) {
        out[0] = e;
        out[1] = weight.to_bits();
    }
}

/// Sparsemixer's weight of the last of `picks`.
fn mixed(logits: &[f32], picks: &[usize], jitter: f32) -> f32 {
    let (last, before) = (logits[picks[picks.len() - 1]], &picks[..picks.len() - 1]);
    let near = |z: f32| last - z <= 2.0 * jitter * z.abs().max(last);
    let left = logits.iter().enumerate().filter(|(e, z)| !before.contains(e) && near(**z));
    1.0 / left.map(|(_, z)| (z - last).exp()).sum::<f32>()
}

fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + (-z).exp())
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f32> = logits.iter().map(|z| (z - largest).exp()).collect();
    let total: f32 = exps.iter().sum();
    exps.iter().map(|e| e / total).collect()
}

/// Sets all but the best groups to −∞.
fn mask_groups(biased: &mut [f32], groups: usize, kept: usize) {
    if groups <= 1 {
        return;
    }
    let size = biased.len() / groups;
    let mut totals: Vec<f32> = biased.chunks_exact(size).map(two_largest).collect();
    let best: Vec<usize> = (0..kept).map(|_| take_largest(&mut totals)).collect();
    for (g, group) in biased.chunks_exact_mut(size).enumerate() {
        if !best.contains(&g) {
            group.fill(f32::NEG_INFINITY);
        }
    }
}

fn two_largest(scores: &[f32]) -> f32 {
    let mut scores = scores.to_vec();
    let first = scores[take_largest(&mut scores.clone())];
    let at = take_largest(&mut scores);
    scores[at] = f32::NEG_INFINITY;
    let second = scores[take_largest(&mut scores.clone())];
    if second == f32::NEG_INFINITY { first } else { first + second }
}

/// Index of the largest value, the lowest among equals, which is then set to −∞.
fn take_largest(values: &mut [f32]) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    values[best] = f32::NEG_INFINITY;
    best
}
