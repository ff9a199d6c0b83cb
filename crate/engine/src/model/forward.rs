//! The forward pass as a plan: embedding, layers, head. It reads like the papers; cleverness lives inside kernels.

use std::collections::BTreeMap;

use bytemuck::Pod;

use crate::device::{Buffer, Device, Plan, Step};
use crate::error::Result;
use crate::format::Format;
use crate::kernel::{self, Kernel, State};
use crate::model::{
    Attention, AttentionWeights, Cache, Experts, Ffn, FfnWeights, Matrix, Mla, Mlp, ModelSpec, Moe, QueryWeights, Rope,
    Weights,
};

/// Tokens up to which `matvec` is used; above it `matmul`'s tiles.
const MATVEC_TOKENS: usize = 4;
/// Epsilon of the norms inside latent attention, whatever the configuration says of the others.
const LATENT_EPS: f32 = 1e-6;

/// Which tokens' logits a plan computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// The last token's only: `[V]`.
    Last,
    /// Every token's: `[T, V]`.
    All,
}

/// A compiled forward pass for up to `chunk` tokens, and the buffers it works in.
pub struct Forward {
    /// Embedding and layers, for a play of all tokens.
    body: Plan,
    /// Norm and head, for a play of all tokens or of the last alone.
    head: Plan,
    /// Most tokens in a play.
    pub chunk: usize,
    /// Which logits the head computes.
    pub rows: Logits,
    /// Kernel launches of a play.
    pub steps: usize,
    /// Token ids `[chunk]`.
    tokens: Buffer,
    /// Logits, `[V]` or `[chunk, V]`.
    pub logits: Buffer,
}

impl Forward {
    /// Compiles the forward pass of `spec` for plays of up to `chunk` tokens.
    pub async fn compile(
        device: &dyn Device,
        spec: &ModelSpec,
        weights: &Weights,
        cache: &Cache,
        chunk: usize,
        rows: Logits,
    ) -> Result<Self> {
        let h = spec.hidden;
        let tokens = device.buffer("tokens", 4 * chunk as u64)?;
        let mut b = Builder::new(device, cache, spec, chunk);
        let x = b.scratch("x", h)?;
        let normed = b.scratch("normed", h)?;
        b.embed(&weights.embed, &tokens, &x);
        for (i, (layer, spec)) in weights.layers.iter().zip(&spec.layers).enumerate() {
            b.norm(format!("layers.{i}.attention_norm"), &x, &layer.attention_norm, &normed, h);
            match &spec.attention {
                Attention::Gqa { heads, kv_heads, head, window, .. } => {
                    let sizes = Gqa { heads: *heads, kv_heads: *kv_heads, head: *head, window: *window };
                    b.gqa(i, &layer.attention, &sizes, &normed, &x)?;
                }
                Attention::Mla(mla) => b.mla(i, &layer.attention, mla, &normed, &x)?,
            }
            b.norm(format!("layers.{i}.ffn_norm"), &x, &layer.ffn_norm, &normed, h);
            match (&layer.ffn, &spec.ffn) {
                (FfnWeights::Moe { router, bias, experts, shared }, Ffn::Moe(moe)) => {
                    b.moe(i, moe, router, bias, experts, &normed, &x)?;
                    if let Some(mlp) = shared {
                        b.mlp(&format!("layers.{i}.shared"), mlp, &normed, &x)?;
                    }
                }
                (FfnWeights::Dense(mlp), _) => b.mlp(&format!("layers.{i}.ffn"), mlp, &normed, &x)?,
                (FfnWeights::Moe { .. }, Ffn::Dense(_)) => unreachable!("weights are loaded by the spec"),
            }
        }
        let last = device.buffer("last", 4 * h as u64)?;
        if rows == Logits::Last {
            b.copy("last".into(), kernel::Copy { last: 1, ..run(h) }, &x, &last);
        }
        let layers = std::mem::take(&mut b.steps);
        let body_steps = layers.len();
        let body = device.compile(layers).await?;

        if rows == Logits::Last {
            b.chunk = 1;
        }
        let x = if rows == Logits::Last { &last } else { &x };
        let logits = b.scratch("logits", spec.vocab)?;
        b.norm("norm".into(), x, &weights.norm, &normed, h);
        b.linear("head".into(), &weights.head, &normed, &logits, false);
        let steps = body_steps + b.steps.len();
        let head = device.compile(b.steps).await?;
        Ok(Forward { body, head, chunk, rows, steps, tokens, logits })
    }

    /// Plays `tokens` at `position`; then the logits hold the last token's or all tokens' values. Does not wait.
    ///
    /// # Panics
    /// When there are no tokens, or more than the chunk or the cache holds: callers split prompts.
    pub fn play(&self, device: &dyn Device, cache: &Cache, position: usize, tokens: &[u32], seed: u64) -> Result<()> {
        assert!(!tokens.is_empty() && tokens.len() <= self.chunk, "{} tokens in a chunk", tokens.len());
        assert!(position + tokens.len() <= cache.context, "position {position} in the cache");
        let count = tokens.len() as u32;
        let state =
            State { position: position as u32, tokens: count, seed: seed as u32, seed_high: (seed >> 32) as u32 };
        device.write(&cache.state, 0, bytemuck::bytes_of(&state))?;
        device.write(&self.tokens, 0, bytemuck::cast_slice(tokens))?;
        device.play(&[(&self.body, count), (&self.head, if self.rows == Logits::Last { 1 } else { count })])
    }
}

/// Sizes of grouped-query attention.
struct Gqa {
    heads: usize,
    kv_heads: usize,
    head: usize,
    window: Option<usize>,
}

/// A copy of whole tokens of `width` floats.
fn run(width: usize) -> kernel::Copy {
    let w = width as u32;
    kernel::Copy { width: w, x_stride: w, x_offset: 0, y_stride: w, y_offset: 0, at_position: 0, last: 0 }
}

/// Collects steps. Each method is one or a few lines of a paper.
struct Builder<'a> {
    device: &'a dyn Device,
    cache: &'a Cache,
    rope: &'a Rope,
    eps: f32,
    chunk: usize,
    /// Scratch buffers by name: layers run one after another and share them.
    scratch: BTreeMap<String, Buffer>,
    steps: Vec<Step>,
}

impl<'a> Builder<'a> {
    fn new(device: &'a dyn Device, cache: &'a Cache, spec: &'a ModelSpec, chunk: usize) -> Self {
        let (rope, eps) = (&spec.rope, spec.eps);
        Builder { device, cache, rope, eps, chunk, scratch: BTreeMap::new(), steps: Vec::new() }
    }

    /// A working buffer `[chunk, width]`, shared by all layers that ask for the same name and width.
    fn scratch(&mut self, name: &str, width: usize) -> Result<Buffer> {
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

    fn embed(&mut self, table: &Matrix, tokens: &Buffer, x: &Buffer) {
        let params = kernel::Embed { width: table.cols as u32 };
        let bindings = [tokens, &table.weights, &table.scales, x];
        self.step("embed".into(), &kernel::EMBED, Some(table.format), &params, &bindings);
    }

    /// `y = norm(x)` over whole tokens.
    fn norm(&mut self, label: String, x: &Buffer, weight: &Buffer, y: &Buffer, width: usize) {
        self.group_norm(label, x, weight, y, [width, 1, width, width], self.eps);
    }

    /// Norm of groups; sizes are width, groups, stride of `x`, stride of `y`.
    fn group_norm(&mut self, label: String, x: &Buffer, weight: &Buffer, y: &Buffer, sizes: [usize; 4], eps: f32) {
        let [width, groups, x_stride, y_stride] = sizes.map(|s| s as u32);
        let params = kernel::RmsNorm { width, groups, x_stride, y_stride, eps };
        self.step(label, &kernel::RMSNORM, None, &params, &[x, weight, y]);
    }

    /// `y = W·x`, or `y += W·x`.
    fn linear(&mut self, label: String, m: &Matrix, x: &Buffer, y: &Buffer, accumulate: bool) {
        let (rows, cols) = (m.rows as u32, m.cols as u32);
        let params = kernel::Matmul { rows, cols, x_stride: cols, y_stride: rows, accumulate: u32::from(accumulate) };
        if self.chunk <= MATVEC_TOKENS {
            self.step(label, &kernel::MATVEC, Some(m.format), &params, &[x, &m.weights, &m.scales, y]);
        } else {
            let state = &self.cache.state;
            self.step(label, &kernel::MATMUL, Some(m.format), &params, &[state, x, &m.weights, &m.scales, y]);
        }
    }

    fn copy(&mut self, label: String, params: kernel::Copy, x: &Buffer, y: &Buffer) {
        self.step(label, &kernel::COPY, None, &params, &[&self.cache.state, x, y]);
    }

    /// Rotates the last `rope.dims` floats of each head, in place.
    fn rotate(&mut self, label: String, x: &Buffer, heads: usize, head: usize, stride: usize, offset: usize) {
        let [heads, head, offset, dims, stride] = [heads, head, offset, self.rope.dims, stride].map(|s| s as u32);
        let params = kernel::Rope { heads, head, offset, dims, stride, interleaved: u32::from(self.rope.interleaved) };
        self.step(label, &kernel::ROPE, None, &params, &[&self.cache.state, &self.cache.rope, x]);
    }

    fn attend(&mut self, layer: usize, params: kernel::Attention, q: &Buffer, y: &Buffer) {
        let (keys, values) = &self.cache.layers[layer];
        let label = format!("layers.{layer}.attention");
        self.step(label, &kernel::ATTENTION, None, &params, &[&self.cache.state, q, keys, values, y]);
    }

    /// Grouped-query attention: `x += W_o · softmax(q·kᵀ/√d)·v`.
    fn gqa(&mut self, i: usize, weights: &AttentionWeights, s: &Gqa, normed: &Buffer, x: &Buffer) -> Result<()> {
        let AttentionWeights::Gqa { q: w_q, k: w_k, v: w_v, o: w_o, qk_norm } = weights else {
            unreachable!("weights are loaded by the spec")
        };
        let (q_width, k_width) = (s.heads * s.head, s.kv_heads * s.head);
        let (mut q, mut k) = (self.scratch("q", q_width)?, self.scratch("k", k_width)?);
        let v = self.scratch("v", k_width)?;
        self.linear(format!("layers.{i}.q"), w_q, normed, &q, false);
        self.linear(format!("layers.{i}.k"), w_k, normed, &k, false);
        self.linear(format!("layers.{i}.v"), w_v, normed, &v, false);
        if let Some((q_norm, k_norm)) = qk_norm {
            let (q_normed, k_normed) = (self.scratch("q_normed", q_width)?, self.scratch("k_normed", k_width)?);
            let eps = self.eps;
            self.group_norm(
                format!("layers.{i}.q_norm"),
                &q,
                q_norm,
                &q_normed,
                [s.head, s.heads, q_width, q_width],
                eps,
            );
            self.group_norm(
                format!("layers.{i}.k_norm"),
                &k,
                k_norm,
                &k_normed,
                [s.head, s.kv_heads, k_width, k_width],
                eps,
            );
            (q, k) = (q_normed, k_normed);
        }
        self.rotate(format!("layers.{i}.q_rope"), &q, s.heads, s.head, q_width, 0);
        self.rotate(format!("layers.{i}.k_rope"), &k, s.kv_heads, s.head, k_width, 0);
        let (keys, values) = self.cache.layers[i].clone();
        self.copy(format!("layers.{i}.keys"), kernel::Copy { at_position: 1, ..run(k_width) }, &k, &keys);
        self.copy(format!("layers.{i}.values"), kernel::Copy { at_position: 1, ..run(k_width) }, &v, &values);
        let params = kernel::Attention {
            heads: s.heads as u32,
            kv_heads: s.kv_heads as u32,
            k_width: s.head as u32,
            v_width: s.head as u32,
            k_stride: k_width as u32,
            v_stride: k_width as u32,
            scale: (s.head as f32).sqrt().recip(),
            window: s.window.unwrap_or(0) as u32,
        };
        let mixed = self.scratch("mixed", q_width)?;
        self.attend(i, params, &q, &mixed);
        self.linear(format!("layers.{i}.o"), w_o, &mixed, x, true);
        Ok(())
    }

    /// Multi-head latent attention, absorbed: scores and mixing happen in the latent space, which alone is cached.
    fn mla(&mut self, i: usize, weights: &AttentionWeights, s: &Mla, normed: &Buffer, x: &Buffer) -> Result<()> {
        let AttentionWeights::Mla { q: w_q, kv_a, kv_norm, kv_b, o } = weights else {
            unreachable!("weights are loaded by the spec")
        };
        let (head, width) = (s.nope + s.rope, s.heads * (s.nope + s.rope));
        let q = self.scratch("q", width)?;
        match w_q {
            QueryWeights::Full(w_q) => self.linear(format!("layers.{i}.q"), w_q, normed, &q, false),
            QueryWeights::LowRank { a, norm, b } => {
                let (latent, latent_normed) =
                    (self.scratch("q_latent", a.rows)?, self.scratch("q_latent_normed", a.rows)?);
                self.linear(format!("layers.{i}.q_a"), a, normed, &latent, false);
                let sizes = [a.rows, 1, a.rows, a.rows];
                self.group_norm(format!("layers.{i}.q_a_norm"), &latent, norm, &latent_normed, sizes, LATENT_EPS);
                self.linear(format!("layers.{i}.q_b"), b, &latent_normed, &q, false);
            }
        }
        self.rotate(format!("layers.{i}.q_rope"), &q, s.heads, head, width, s.nope);

        // Latent and shared rotated key, side by side in the cache.
        let cached = s.rank + s.rope;
        let (kv, latent) = (self.scratch("kv", cached)?, self.scratch("latent", s.rank)?);
        self.linear(format!("layers.{i}.kv_a"), kv_a, normed, &kv, false);
        let sizes = [s.rank, 1, cached, s.rank];
        self.group_norm(format!("layers.{i}.kv_norm"), &kv, kv_norm, &latent, sizes, LATENT_EPS);
        self.rotate(format!("layers.{i}.k_rope"), &kv, 1, cached, cached, s.rank);
        let cache = self.cache.layers[i].0.clone();
        let into = kernel::Copy { at_position: 1, y_stride: cached as u32, ..run(s.rank) };
        self.copy(format!("layers.{i}.latent"), into, &latent, &cache);
        let offset = s.rank as u32;
        let into =
            kernel::Copy { width: s.rope as u32, x_offset: offset, y_offset: offset, at_position: 1, ..run(cached) };
        self.copy(format!("layers.{i}.rotated"), into, &kv, &cache);

        let sizes = kernel::MlaQuery {
            heads: s.heads as u32,
            nope: s.nope as u32,
            rope: s.rope as u32,
            value: s.value as u32,
            rank: s.rank as u32,
        };
        let absorbed = self.scratch("absorbed", s.heads * cached)?;
        let planes = [&kv_b.weights, &kv_b.scales];
        let label = format!("layers.{i}.mla_query");
        self.step(label, &kernel::MLA_QUERY, Some(kv_b.format), &sizes, &[&q, planes[0], planes[1], &absorbed]);
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
        let label = format!("layers.{i}.mla_value");
        self.step(label, &kernel::MLA_VALUE, Some(kv_b.format), &sizes, &[&latents, planes[0], planes[1], &mixed]);
        self.linear(format!("layers.{i}.o"), o, &mixed, x, true);
        Ok(())
    }

    /// A gated MLP: `x += W_down · (silu(W_gate·n) ⊙ (W_up·n))`.
    fn mlp(&mut self, label: &str, mlp: &Mlp, normed: &Buffer, x: &Buffer) -> Result<()> {
        let width = mlp.gate.rows;
        let (gate, up) = (self.scratch("gate", width)?, self.scratch("up", width)?);
        let hidden = self.scratch("ffn", width)?;
        self.linear(format!("{label}.gate"), &mlp.gate, normed, &gate, false);
        self.linear(format!("{label}.up"), &mlp.up, normed, &up, false);
        let params = kernel::Swiglu { width: width as u32 };
        self.step(format!("{label}.swiglu"), &kernel::SWIGLU, None, &params, &[&gate, &up, &hidden]);
        self.linear(format!("{label}.down"), &mlp.down, &hidden, x, true);
        Ok(())
    }

    /// Routed experts: `x += Σ_j weight_j · expert_j(n)`, the choice staying on the device.
    #[expect(clippy::too_many_arguments, reason = "a layer's parts, each named by its role")]
    fn moe(
        &mut self,
        i: usize,
        moe: &Moe,
        router: &Matrix,
        bias: &Buffer,
        experts: &Experts,
        normed: &Buffer,
        x: &Buffer,
    ) -> Result<()> {
        let logits = self.scratch("router", moe.experts)?;
        let chosen = self.scratch("chosen", 2 * moe.chosen)?;
        let inner = self.scratch("experts", moe.chosen * moe.width)?;
        self.linear(format!("layers.{i}.router"), router, normed, &logits, false);
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
        let layout = &experts.layout;
        let (hidden, width, k) = (router.cols as u32, moe.width as u32, moe.chosen as u32);
        let stride = layout.stride as u32;
        let up = kernel::ExpertsUp { hidden, width, chosen: k, stride, weights: 0, scales: layout.up_scales as u32 };
        let bindings = [normed, &chosen, &experts.slots, &experts.pool, &inner];
        self.step(format!("layers.{i}.up"), &kernel::EXPERTS_UP, Some(layout.up_format), &up, &bindings);
        let (weights, scales) = (layout.down_weights as u32, layout.down_scales as u32);
        let down = kernel::ExpertsDown { hidden, width, chosen: k, stride, weights, scales };
        let bindings = [&inner, &chosen, &experts.slots, &experts.pool, x];
        self.step(format!("layers.{i}.down"), &kernel::EXPERTS_DOWN, Some(layout.down_format), &down, &bindings);
        Ok(())
    }
}
