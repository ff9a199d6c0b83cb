//! Feed-forward: gated MLPs and routed experts.

use crate::device::Buffer;
use crate::error::Result;
use crate::kernel;
use crate::model::layers::{Builder, Input, MATVEC_TOKENS, product};
use crate::model::stages::{Cut, Guess};
use crate::model::{Experts, FfnWeights, Layer, Mlp, Moe, Pool};
use crate::weights::{Share, Slab};

impl Builder<'_> {
    /// Inside of a gated MLP: `silu(W_gate·n) ⊙ (W_up·n)`.
    pub(super) fn mlp_hidden(&mut self, label: &str, mlp: &Mlp, n: &Input) -> Result<Buffer> {
        let hidden = self.scratch("ffn", mlp.down.cols)?;
        let plain = product(&mlp.gate_up);
        let params =
            kernel::Matmul { norm: n.normed(), eps: self.spec.eps, gated: 1, y_stride: plain.rows / 2, ..plain };
        self.product(format!("{label}.gate_up"), (&mlp.gate_up, None), params, &n.x, n.weight(), &hidden);
        Ok(hidden)
    }

    /// Experts: `x += Σ_j weight_j · expert_j(n)`, over those chosen and those shared; the choice stays on the
    /// device.
    pub(super) fn moe(&mut self, (i, first): (usize, usize), layer: &Layer, moe: &Moe, x: &Buffer) -> Result<()> {
        let FfnWeights::Moe { experts, .. } = &layer.ffn else { unreachable!("weights are loaded by the spec") };
        let guess = self.guess(i, layer, moe, x)?;
        let n = &self.normed(&format!("layers.{i}.ffn"), x, &layer.ffn_norm)?;
        let at_work = moe.chosen + moe.shared;
        let chosen = self.scratch(&format!("layers.{i}.chosen"), 2 * at_work)?;
        let inner = self.scratch("experts", at_work * moe.width)?;
        self.route(&format!("layers.{i}"), layer, moe, n, &chosen)?;
        let before = self.steps.len();
        let routed = Routed { i, first, moe, at_work, experts, n, chosen: &chosen, inner: &inner, x, guess };
        if self.chunk > MATVEC_TOKENS {
            return self.many_experts(routed);
        }
        self.few_experts(&routed);
        self.cut(routed, before, before, None);
        Ok(())
    }

    /// What a layer would choose if it came now, beside what it will, where that is asked: `x` changes little from layer to layer.
    pub(super) fn guess(&mut self, i: usize, layer: &Layer, moe: &Moe, x: &Buffer) -> Result<Option<Guess>> {
        if !self.guesses {
            return Ok(None);
        }
        let (steps, apart) = (self.take(), std::mem::replace(&mut self.apart, true));
        let label = format!("layers.{i}.guess");
        let chosen = self.scratch(&label, 2 * (moe.chosen + moe.shared))?;
        let n = self.normed(&label, x, &layer.ffn_norm)?;
        self.route(&label, layer, moe, &n, &chosen)?;
        self.apart = apart;
        Ok(Some(Guess { steps: std::mem::replace(&mut self.steps, steps), chosen }))
    }

    /// The choice of experts.
    fn route(&mut self, label: &str, layer: &Layer, moe: &Moe, n: &Input, chosen: &Buffer) -> Result<()> {
        let FfnWeights::Moe { router, logit_bias, bias, .. } = &layer.ffn else {
            unreachable!("weights are loaded by the spec")
        };
        let params = kernel::TopK {
            experts: moe.experts as u32,
            chosen: moe.chosen as u32,
            sigmoid: u32::from(moe.sigmoid),
            groups: moe.groups as u32,
            top_groups: moe.top_groups as u32,
            normalise: u32::from(moe.normalise),
            eps: moe.eps,
            scale: moe.scale * self.spec.residual_scale,
            shared_experts: moe.shared as u32,
            shared_weight: self.spec.residual_scale,
            shared_gate: u32::from(moe.shared_gate),
            hidden: router.cols as u32,
            norm_eps: self.spec.eps,
            jitter: moe.jitter,
        };
        let workgroups = self.device.limits().workgroups;
        let routes = logit_bias.is_none() && kernel::routes(router.rows, router.cols, self.chunk, workgroups);
        if let Some(norm) = n.norm.as_ref().filter(|_| routes) {
            let Slab { weights, scales, .. } = router.whole();
            let bindings = [&n.x, norm, weights, scales, bias, chosen];
            self.step(format!("{label}.router"), &kernel::ROUTER, None, &params, &bindings);
        } else {
            let logits = self.scratch("router", router.rows)?;
            self.linear(format!("{label}.router"), (router, logit_bias.as_ref()), n, &logits);
            self.step(format!("{label}.topk"), &kernel::TOPK, None, &params, &[&logits, bias, chosen]);
        }
        Ok(())
    }

    /// Notes where experts were put: from `work` to here they work.
    fn cut(&mut self, r: Routed<'_>, before: usize, work: usize, sorted: Option<Buffer>) {
        let (done, chosen, experts) = (self.steps.len(), r.chosen.clone(), r.moe.experts + r.moe.shared);
        let (first, x, at_work, routed, guess) = (r.first, r.x.clone(), r.at_work, r.moe.chosen, r.guess);
        let alone = false;
        self.cuts.push(Cut { first, before, work, done, x, chosen, at_work, routed, experts, alone, sorted, guess });
    }

    /// The chosen experts for few tokens: each reads its own.
    fn few_experts(&mut self, r: &Routed<'_>) {
        let (i, experts, hidden, width) = (r.i, r.experts, self.spec.hidden as u32, r.moe.width as u32);
        let (chosen, k) = (r.chosen, r.at_work as u32);
        for Pool { records, share } in experts.pools.iter().filter(|pool| !pool.share.ups.is_empty()) {
            let layout = &share.layout;
            let up = kernel::ExpertsUp {
                hidden,
                width: share.ups.len() as u32,
                chosen: k,
                stride: layout.stride as u32,
                weights: 0,
                scales: layout.up_scales as u32,
                eps: self.spec.eps,
                norm: r.n.normed(),
                bias: layout.up_bias as u32,
                limit: r.moe.limit,
                outputs: width,
                first: share.ups.start as u32,
            };
            let bindings = [&r.n.x, r.n.weight(), chosen, &experts.slots, records, r.inner];
            self.step(format!("layers.{i}.up"), &kernel::EXPERTS_UP, Some(layout.up_format), &up, &bindings);
        }
        for Pool { records, share } in experts.pools.iter().filter(|pool| !pool.share.downs.is_empty()) {
            let layout = &share.layout;
            let down = kernel::ExpertsDown {
                hidden: share.downs.len() as u32,
                width,
                chosen: k,
                stride: layout.stride as u32,
                weights: layout.down_weights as u32,
                scales: layout.down_scales as u32,
                bias: layout.down_bias as u32,
                outputs: hidden,
                first: share.downs.start as u32,
            };
            let bindings = [r.inner, chosen, &experts.slots, records, r.x];
            self.step(format!("layers.{i}.down"), &kernel::EXPERTS_DOWN, Some(layout.down_format), &down, &bindings);
        }
    }

    /// The chosen experts for many tokens: each expert is read once for all that chose it.
    fn many_experts(&mut self, r: Routed<'_>) -> Result<()> {
        let (i, moe, hidden) = (r.i, r.moe, self.spec.hidden);
        let experts = moe.experts + moe.shared;
        let made = self.scratch("made", r.at_work * hidden)?;
        let sorted = self.words("sorted", experts + 1 + self.chunk * r.at_work)?;
        let before = self.steps.len();
        let sort = kernel::ExpertsSort { experts: experts as u32, chosen: r.at_work as u32 };
        let bindings = [&self.state.clone(), r.chosen, &sorted];
        self.step(format!("layers.{i}.sort"), &kernel::EXPERTS_SORT, None, &sort, &bindings);
        for up in [true, false] {
            let (part, x, y) = if up { ("up", &r.n.x, r.inner) } else { ("down", r.inner, &made) };
            let (cols, outputs) = if up { (hidden, moe.width) } else { (moe.width, hidden) };
            for Pool { records, share: Share { layout, ups, downs } } in &r.experts.pools {
                let of = if up { ups } else { downs };
                if of.is_empty() {
                    continue;
                }
                let (format, weights, scales, bias) = match up {
                    true => (layout.up_format, 0, layout.up_scales, layout.up_bias),
                    false => (layout.down_format, layout.down_weights, layout.down_scales, layout.down_bias),
                };
                let params = kernel::ExpertsMatmul {
                    rows: (of.len() as u32) << u32::from(up),
                    cols: cols as u32,
                    experts: experts as u32,
                    sharing: if up { r.at_work as u32 } else { 1 },
                    stride: layout.stride as u32,
                    weights: weights as u32,
                    scales: scales as u32,
                    gated: u32::from(up),
                    norm: if up { r.n.normed() } else { 0 },
                    eps: self.spec.eps,
                    bias: bias as u32,
                    limit: moe.limit,
                    outputs: outputs as u32,
                    first: of.start as u32,
                };
                let bindings = [x, r.n.weight(), &sorted, &r.experts.slots, records, y];
                self.step(format!("layers.{i}.{part}"), &kernel::EXPERTS_MATMUL, Some(format), &params, &bindings);
            }
        }
        let combine = kernel::Combine { hidden: hidden as u32, chosen: r.at_work as u32 };
        let bindings = [&made, r.chosen, r.x];
        self.cut(r, before, before + 1, Some(sorted));
        self.step(format!("layers.{i}.combine"), &kernel::COMBINE, None, &combine, &bindings);
        Ok(())
    }
}

/// The experts of layer `i`, and what they read and write.
struct Routed<'a> {
    i: usize,
    /// First step of the layer.
    first: usize,
    moe: &'a Moe,
    /// Experts of a token: chosen and shared.
    at_work: usize,
    experts: &'a Experts,
    n: &'a Input,
    /// Pairs (expert, weight) of each token.
    chosen: &'a Buffer,
    /// What gates and ups make.
    inner: &'a Buffer,
    x: &'a Buffer,
    guess: Option<Guess>,
}
