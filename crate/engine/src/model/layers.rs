//! The steps of a forward pass. It reads like the papers; cleverness lives inside kernels.

use std::collections::BTreeMap;

use bytemuck::Pod;

use crate::device::{Buffer, Device, Step};
use crate::error::Result;
use crate::format::Format;
use crate::kernel::{self, Kernel};
use crate::model::{
    Attention, AttentionWeights, Cache, Experts, Ffn, FfnWeights, Layer, LayerSpec, Matrix, Mla, Mlp, ModelSpec, Moe,
    Rope,
};

/// Tokens up to which `matvec` is used; above it `matmul`'s tiles.
const MATVEC_TOKENS: usize = 4;
/// Epsilon of the norms inside latent attention, whatever the configuration says of the others.
const LATENT_EPS: f32 = 1e-6;

/// Collects steps. Each method is one or a few lines of a paper.
pub(super) struct Builder<'a> {
    device: &'a dyn Device,
    cache: &'a Cache,
    rope: &'a Rope,
    eps: f32,
    /// Tokens in a play, at most.
    pub(super) chunk: usize,
    /// Scratch buffers by name: layers run one after another and share them.
    scratch: BTreeMap<String, Buffer>,
    steps: Vec<Step>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(device: &'a dyn Device, cache: &'a Cache, spec: &'a ModelSpec, chunk: usize) -> Self {
        let (rope, eps) = (&spec.rope, spec.eps);
        Builder { device, cache, rope, eps, chunk, scratch: BTreeMap::new(), steps: Vec::new() }
    }

    /// The steps so far, which the next ones do not follow.
    pub(super) fn take(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// A working buffer `[chunk, width]`, shared by all layers that ask for the same name and width.
    pub(super) fn scratch(&mut self, name: &str, width: usize) -> Result<Buffer> {
        let key = format!("{name} {width}");
        if let Some(buffer) = self.scratch.get(&key) {
            return Ok(buffer.clone());
        }
        let buffer = self.device.buffer(name, 4 * (self.chunk * width) as u64)?;
        self.scratch.insert(key, buffer.clone());
        Ok(buffer)
    }

    fn step(
        &mut self,
        label: String,
        kernel: &'static Kernel,
        format: Option<Format>,
        params: &impl Pod,
        bindings: &[&Buffer],
    ) {
        let bindings = bindings.iter().map(|b| (*b).clone()).collect();
        self.steps.push(Step { label, kernel, format, params: bytemuck::bytes_of(params).to_vec(), bindings });
    }

    pub(super) fn embed(&mut self, table: &Matrix, tokens: &Buffer, x: &Buffer) {
        let params = kernel::Embed { width: table.cols as u32 };
        let bindings = [tokens, &table.weights, &table.scales, x];
        self.step("embed".into(), &kernel::EMBED, Some(table.format), &params, &bindings);
    }

    /// The last token of `x`.
    pub(super) fn last(&mut self, x: &Buffer) -> Result<Buffer> {
        let width = x.bytes() as usize / 4 / self.chunk;
        let last = self.device.buffer("last", 4 * width as u64)?;
        let params = kernel::Last { width: width as u32 };
        self.step("last".into(), &kernel::LAST, None, &params, &[&self.cache.state, x, &last]);
        Ok(last)
    }

    /// `y = W·x`, or `y += W·x`.
    fn linear(&mut self, label: String, m: &Matrix, x: &Buffer, y: &Buffer, accumulate: bool) {
        let params = kernel::Matmul { accumulate: u32::from(accumulate), ..product(m) };
        self.product(label, m, params, x, &m.weights, y);
    }

    /// `y = W·norm(x)`.
    pub(super) fn normed_linear(&mut self, label: String, m: &Matrix, x: &Buffer, norm: &Buffer, y: &Buffer) {
        let params = kernel::Matmul { norm: 1, eps: self.eps, ..product(m) };
        self.product(label, m, params, x, norm, y);
    }

    fn product(&mut self, label: String, m: &Matrix, params: kernel::Matmul, x: &Buffer, norm: &Buffer, y: &Buffer) {
        let bindings = [&self.cache.state, x, norm, &m.weights, &m.scales, y];
        if self.chunk <= MATVEC_TOKENS {
            self.step(label, &kernel::MATVEC, Some(m.format), &params, &bindings[1..]);
        } else {
            self.step(label, &kernel::MATMUL, Some(m.format), &params, &bindings);
        }
    }

    /// `x += attention(norm(x)); x += ffn(norm(x))`.
    pub(super) fn layer(&mut self, i: usize, layer: &Layer, spec: &LayerSpec, x: &Buffer) -> Result<()> {
        match &spec.attention {
            Attention::Gqa { heads, kv_heads, head, window, .. } => {
                let sizes = Gqa { heads: *heads, kv_heads: *kv_heads, head: *head, window: *window };
                self.gqa(i, layer, &sizes, x)?;
            }
            Attention::Mla(mla) => self.mla(i, layer, mla, x)?,
        }
        match (&layer.ffn, &spec.ffn) {
            (FfnWeights::Moe { router, bias, experts, shared }, Ffn::Moe(moe)) => {
                // The shared experts first: they too read x as attention left it, so their sum waits aside.
                let label = format!("layers.{i}.shared");
                let aside = shared.as_ref().map(|mlp| self.mlp_hidden(&label, mlp, layer, x)).transpose()?;
                self.moe(i, moe, (router, bias, experts), &layer.ffn_norm, x)?;
                if let (Some(mlp), Some(hidden)) = (shared, aside) {
                    self.linear(format!("layers.{i}.shared.down"), &mlp.down, &hidden, x, true);
                }
            }
            (FfnWeights::Dense(mlp), _) => {
                let hidden = self.mlp_hidden(&format!("layers.{i}.ffn"), mlp, layer, x)?;
                self.linear(format!("layers.{i}.ffn.down"), &mlp.down, &hidden, x, true);
            }
            (FfnWeights::Moe { .. }, Ffn::Dense(_)) => unreachable!("weights are loaded by the spec"),
        }
        Ok(())
    }

    fn attend(&mut self, layer: usize, params: kernel::Attention, q: &Buffer, y: &Buffer) {
        let (keys, values) = &self.cache.layers[layer];
        let label = format!("layers.{layer}.attention");
        self.step(label, &kernel::ATTENTION, None, &params, &[&self.cache.state, q, keys, values, y]);
    }

    /// Grouped-query attention: `x += W_o · softmax(q·kᵀ/√d)·v`.
    fn gqa(&mut self, i: usize, layer: &Layer, s: &Gqa, x: &Buffer) -> Result<()> {
        let AttentionWeights::Gqa { qkv: w_qkv, o: w_o, qk_norm } = &layer.attention else {
            unreachable!("weights are loaded by the spec")
        };
        let q_width = s.heads * s.head;
        let qkv = self.scratch("qkv", w_qkv.rows)?;
        self.normed_linear(format!("layers.{i}.qkv"), w_qkv, x, &layer.attention_norm, &qkv);
        let q = self.scratch("q", q_width)?;
        let params = kernel::Heads {
            heads: s.heads as u32,
            kv_heads: s.kv_heads as u32,
            width: s.head as u32,
            dims: self.rope.dims as u32,
            interleaved: u32::from(self.rope.interleaved),
            norm: u32::from(qk_norm.is_some()),
            eps: self.eps,
        };
        let (q_norm, k_norm) = qk_norm.as_ref().map_or((&layer.attention_norm, &layer.attention_norm), |(q, k)| (q, k));
        let (keys, values) = &self.cache.layers[i];
        let bindings = [&self.cache.state, &self.cache.rope, &qkv, q_norm, k_norm, &q, keys, values];
        self.step(format!("layers.{i}.heads"), &kernel::HEADS, None, &params, &bindings);
        let stride = (s.kv_heads * s.head) as u32;
        let params = kernel::Attention {
            heads: s.heads as u32,
            kv_heads: s.kv_heads as u32,
            k_width: s.head as u32,
            v_width: s.head as u32,
            k_stride: stride,
            v_stride: stride,
            scale: (s.head as f32).sqrt().recip(),
            window: s.window.unwrap_or(0) as u32,
        };
        let mixed = self.scratch("mixed", q_width)?;
        self.attend(i, params, &q, &mixed);
        self.linear(format!("layers.{i}.o"), w_o, &mixed, x, true);
        Ok(())
    }

    /// Multi-head latent attention, absorbed: scores and mixing happen in the latent space, which alone is cached.
    fn mla(&mut self, i: usize, layer: &Layer, s: &Mla, x: &Buffer) -> Result<()> {
        let AttentionWeights::Mla { down: w_down, queries, kv_norm, kv_b, o } = &layer.attention else {
            unreachable!("weights are loaded by the spec")
        };
        let (cached, q_width) = (s.rank + s.rope, s.heads * (s.nope + s.rope));
        let down = self.scratch("down", w_down.rows)?;
        self.normed_linear(format!("layers.{i}.down"), w_down, x, &layer.attention_norm, &down);
        let (q, q_stride) = match queries {
            None => (down.clone(), w_down.rows),
            Some(queries) => {
                let (q, up) = (self.scratch("q", q_width)?, &queries.up);
                let params = kernel::Matmul { x_stride: w_down.rows as u32, norm: 1, eps: LATENT_EPS, ..product(up) };
                self.product(format!("layers.{i}.q"), up, params, &down, &queries.norm, &q);
                (q, q_width)
            }
        };
        let sizes = kernel::MlaQuery {
            heads: s.heads as u32,
            nope: s.nope as u32,
            rope: s.rope as u32,
            value: s.value as u32,
            rank: s.rank as u32,
            q_stride: q_stride as u32,
            kv_stride: w_down.rows as u32,
            kv_offset: (w_down.rows - cached) as u32,
            interleaved: u32::from(self.rope.interleaved),
            eps: LATENT_EPS,
        };
        let absorbed = self.scratch("absorbed", s.heads * cached)?;
        let (state, turns, cache) = (&self.cache.state, &self.cache.rope, &self.cache.layers[i].0);
        let bindings = [state, turns, &q, &down, kv_norm, &kv_b.weights, &kv_b.scales, &absorbed, cache];
        self.step(format!("layers.{i}.mla_query"), &kernel::MLA_QUERY, Some(kv_b.format), &sizes, &bindings);
        let params = kernel::Attention {
            heads: sizes.heads,
            kv_heads: 1,
            k_width: cached as u32,
            v_width: sizes.rank,
            k_stride: cached as u32,
            v_stride: cached as u32,
            scale: s.scale,
            window: 0,
        };
        let (latents, mixed) = (self.scratch("latents", s.heads * s.rank)?, self.scratch("mixed", s.heads * s.value)?);
        self.attend(i, params, &absorbed, &latents);
        // Values of each head from its mixed latent: its rows of kv_b after those of its keys.
        let params = kernel::Matmul {
            rows: sizes.value,
            x_stride: sizes.heads * sizes.rank,
            y_stride: sizes.heads * sizes.value,
            batch: sizes.heads,
            row_first: sizes.nope,
            row_step: sizes.nope + sizes.value,
            x_step: sizes.rank,
            y_step: sizes.value,
            ..product(kv_b)
        };
        self.product(format!("layers.{i}.values"), kv_b, params, &latents, &kv_b.weights, &mixed);
        self.linear(format!("layers.{i}.o"), o, &mixed, x, true);
        Ok(())
    }

    /// Inside of a gated MLP: `silu(W_gate·n) ⊙ (W_up·n)`, `n = norm(x)`.
    fn mlp_hidden(&mut self, label: &str, mlp: &Mlp, layer: &Layer, x: &Buffer) -> Result<Buffer> {
        let hidden = self.scratch("ffn", mlp.down.cols)?;
        let plain = product(&mlp.gate_up);
        let params = kernel::Matmul { norm: 1, eps: self.eps, gated: 1, y_stride: plain.rows / 2, ..plain };
        self.product(format!("{label}.gate_up"), &mlp.gate_up, params, x, &layer.ffn_norm, &hidden);
        Ok(hidden)
    }

    /// Routed experts: `x += Σ_j weight_j · expert_j(n)`, `n = norm(x)`, the choice staying on the device.
    fn moe(
        &mut self,
        i: usize,
        moe: &Moe,
        (router, bias, experts): (&Matrix, &Buffer, &Experts),
        norm: &Buffer,
        x: &Buffer,
    ) -> Result<()> {
        let logits = self.scratch("router", moe.experts)?;
        let chosen = self.scratch("chosen", 2 * moe.chosen)?;
        let inner = self.scratch("experts", moe.chosen * moe.width)?;
        self.normed_linear(format!("layers.{i}.router"), router, x, norm, &logits);
        let params = kernel::TopK {
            experts: moe.experts as u32,
            chosen: moe.chosen as u32,
            sigmoid: u32::from(moe.sigmoid),
            groups: moe.groups as u32,
            top_groups: moe.top_groups as u32,
            normalise: u32::from(moe.normalise),
            eps: moe.eps,
            scale: moe.scale,
        };
        self.step(format!("layers.{i}.topk"), &kernel::TOPK, None, &params, &[&logits, bias, &chosen]);
        if self.chunk <= MATVEC_TOKENS {
            self.experts(i, moe, experts, norm, &chosen, &inner, x);
            return Ok(());
        }
        self.many_experts(i, moe, experts, norm, &chosen, &inner, x)
    }

    /// The chosen experts for few tokens: each reads its own.
    #[expect(clippy::too_many_arguments, reason = "a layer's parts, each named by its role")]
    fn experts(
        &mut self,
        i: usize,
        moe: &Moe,
        experts: &Experts,
        norm: &Buffer,
        chosen: &Buffer,
        inner: &Buffer,
        x: &Buffer,
    ) {
        let layout = &experts.layout;
        let (hidden, width, k) = ((norm.bytes() / 4) as u32, moe.width as u32, moe.chosen as u32);
        let (stride, scales, eps) = (layout.stride as u32, layout.up_scales as u32, self.eps);
        let up = kernel::ExpertsUp { hidden, width, chosen: k, stride, weights: 0, scales, eps };
        let bindings = [x, norm, chosen, &experts.slots, &experts.pool, inner];
        self.step(format!("layers.{i}.up"), &kernel::EXPERTS_UP, Some(layout.up_format), &up, &bindings);
        let (weights, scales) = (layout.down_weights as u32, layout.down_scales as u32);
        let down = kernel::ExpertsDown { hidden, width, chosen: k, stride, weights, scales };
        let bindings = [inner, chosen, &experts.slots, &experts.pool, x];
        self.step(format!("layers.{i}.down"), &kernel::EXPERTS_DOWN, Some(layout.down_format), &down, &bindings);
    }

    /// The chosen experts for many tokens: each expert is read once for all that chose it.
    #[expect(clippy::too_many_arguments, reason = "a layer's parts, each named by its role")]
    fn many_experts(
        &mut self,
        i: usize,
        moe: &Moe,
        experts: &Experts,
        norm: &Buffer,
        chosen: &Buffer,
        inner: &Buffer,
        x: &Buffer,
    ) -> Result<()> {
        let layout = &experts.layout;
        let hidden = norm.bytes() as usize / 4;
        let made = self.scratch("made", moe.chosen * hidden)?;
        let up = kernel::ExpertsMatmul {
            rows: 2 * moe.width as u32,
            cols: hidden as u32,
            experts: moe.experts as u32,
            chosen: moe.chosen as u32,
            sharing: moe.chosen as u32,
            stride: layout.stride as u32,
            weights: 0,
            scales: layout.up_scales as u32,
            gated: 1,
            norm: 1,
            eps: self.eps,
        };
        let bindings = [&self.cache.state, x, norm, chosen, &experts.slots, &experts.pool, inner];
        self.step(format!("layers.{i}.up"), &kernel::EXPERTS_MATMUL, Some(layout.up_format), &up, &bindings);
        let down = kernel::ExpertsMatmul {
            rows: hidden as u32,
            cols: moe.width as u32,
            sharing: 1,
            weights: layout.down_weights as u32,
            scales: layout.down_scales as u32,
            gated: 0,
            norm: 0,
            ..up
        };
        let bindings = [&self.cache.state, inner, norm, chosen, &experts.slots, &experts.pool, &made];
        self.step(format!("layers.{i}.down"), &kernel::EXPERTS_MATMUL, Some(layout.down_format), &down, &bindings);
        let combine = kernel::Combine { hidden: hidden as u32, chosen: moe.chosen as u32 };
        self.step(format!("layers.{i}.combine"), &kernel::COMBINE, None, &combine, &[&made, chosen, x]);
        Ok(())
    }
}

/// Sizes of grouped-query attention.
struct Gqa {
    heads: usize,
    kv_heads: usize,
    head: usize,
    window: Option<usize>,
}

/// `y = W·x` of whole tokens.
fn product(m: &Matrix) -> kernel::Matmul {
    let [rows, cols] = [m.rows, m.cols].map(|n| n as u32);
    kernel::Matmul { rows, cols, x_stride: cols, y_stride: rows, batch: 1, ..bytemuck::Zeroable::zeroed() }
}
