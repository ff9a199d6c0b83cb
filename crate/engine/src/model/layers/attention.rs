//! Attention: grouped-query, and latent in its absorbed form.

use crate::device::Buffer;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::kernel;
use crate::model::layers::{Builder, product};
use crate::model::{AttentionWeights, Cache, Conv, Gqa, Layer, Mla, QkNorm};
use crate::weights::Slab;

/// Epsilon of the norms inside latent attention, whatever the configuration says of the others.
const LATENT_EPS: f32 = 1e-6;

/// Most splits of a token's attention: more would cost the merge more than they save.
const MOST_SPLITS: u32 = kernel::AttentionMerge::MOST;

impl Builder<'_> {
    /// Attention of layer `i`, in as many splits as keep the device busy with one token.
    fn attend(
        &mut self,
        i: usize,
        params: kernel::Attention,
        sinks: Option<&Buffer>,
        q: &Buffer,
        y: &Buffer,
    ) -> Result<()> {
        let (state, (keys, values)) = (&self.state.clone(), &self.cache.layers[i]);
        let splits = self.splits(&params);
        // Sinks come in where splits are put together, be it only one.
        let apart = splits > 1 || sinks.is_some();
        let params = kernel::Attention { splits, tokens: self.chunk as u32, apart: u32::from(apart), ..params };
        let label = format!("layers.{i}.attention");
        if !apart {
            let unused = self.unused.clone();
            self.step(label, &kernel::ATTENTION, None, &params, &[state, q, keys, values, y, &unused]);
            return Ok(());
        }
        let rows = splits * params.heads;
        let parts = self.scratch("parts", (rows * params.v_width) as usize)?;
        let marks = self.scratch("marks", 2 * rows as usize)?;
        self.step(label, &kernel::ATTENTION, None, &params, &[state, q, keys, values, &parts, &marks]);
        let (heads, width) = (params.heads, params.v_width);
        let merge = kernel::AttentionMerge { heads, width, splits, sinks: u32::from(sinks.is_some()) };
        let bindings = [&parts, &marks, y, sinks.unwrap_or(&marks)];
        self.step(format!("layers.{i}.merge"), &kernel::ATTENTION_MERGE, None, &merge, &bindings);
        Ok(())
    }

    /// Attention that is neither split nor followed by a product.
    fn whole(&self) -> kernel::Attention {
        kernel::Attention { splits: 1, tokens: 1, half: self.half(), ..bytemuck::Zeroable::zeroed() }
    }

    /// Whether the cache is f16, as kernels want to know it.
    fn half(&self) -> u32 {
        u32::from(self.cache.format == Format::F16)
    }

    /// Into how many splits.
    fn splits(&self, params: &kernel::Attention) -> u32 {
        let busy = self.device.limits().workgroups / params.fours();
        if self.chunk == 1 { busy.clamp(1, MOST_SPLITS) } else { 1 }
    }

    /// Grouped-query attention: `x += W_o · softmax(q·kᵀ·scale)·v`.
    pub(super) fn gqa(&mut self, i: usize, layer: &Layer, s: &Gqa, x: &Buffer) -> Result<()> {
        let AttentionWeights::Gqa { o: w_o, o_bias, sinks, .. } = &layer.attention else {
            unreachable!("weights are loaded by the spec")
        };
        let q = self.heads(i, layer, s, x, 0)?;
        let stride = (s.kv_heads * s.head) as u32;
        let params = kernel::Attention {
            heads: s.heads as u32,
            kv_heads: s.kv_heads as u32,
            k_width: s.head as u32,
            v_width: s.head as u32,
            k_stride: stride,
            v_stride: stride,
            scale: s.scale,
            window: s.window.unwrap_or(0) as u32,
            ..self.whole()
        };
        let mixed = self.scratch("mixed", s.heads * s.head)?;
        self.attend(i, params, sinks.as_ref(), &q, &mixed)?;
        self.add(format!("layers.{i}.o"), (w_o, o_bias.as_ref()), &mixed, x);
        Ok(())
    }

    /// Keys and values of grouped-query attention, without queries.
    pub(super) fn keys(&mut self, i: usize, layer: &Layer, s: &Gqa, x: &Buffer) -> Result<()> {
        self.heads(i, layer, s, x, s.heads * s.head).map(drop)
    }

    /// Queries, which are returned, keys and values, which go into the cache; of the products that they are made of those from row `from` on.
    fn heads(&mut self, i: usize, layer: &Layer, s: &Gqa, x: &Buffer, from: usize) -> Result<Buffer> {
        let AttentionWeights::Gqa { qkv: w_qkv, bias, qk_norm, .. } = &layer.attention else {
            unreachable!("weights are loaded by the spec")
        };
        let qkv = self.scratch("qkv", w_qkv.rows)?;
        let n = self.normed(&format!("layers.{i}.attention"), x, &layer.attention_norm)?;
        let plain = product(w_qkv);
        // A matrix in several slabs is multiplied whole.
        let from = if w_qkv.slabs.len() == 1 { from as u32 } else { 0 };
        let rows = plain.rows - from;
        let params =
            kernel::Matmul { norm: n.normed(), eps: self.spec.eps, rows, row_first: from, first: from, ..plain };
        self.product(format!("layers.{i}.qkv"), (w_qkv, bias.as_ref()), params, &n.x, n.weight(), &qkv);
        let q = self.scratch("q", s.heads * s.head)?;
        let params = kernel::Heads {
            heads: s.heads as u32,
            kv_heads: s.kv_heads as u32,
            width: s.head as u32,
            dims: self.spec.rope.dims as u32,
            interleaved: u32::from(self.spec.rope.interleaved),
            norm: match s.qk_norm {
                QkNorm::None => 0,
                QkNorm::Head => 1,
                QkNorm::Whole => 2,
            },
            eps: self.spec.eps,
            half: self.half(),
        };
        let (q_norm, k_norm) = qk_norm.as_ref().map_or((&qkv, &qkv), |(q, k)| (q, k));
        let (keys, values) = &self.cache.layers[i];
        let bindings = [&self.state.clone(), &self.cache.rope, &qkv, q_norm, k_norm, &q, keys, values];
        self.step(format!("layers.{i}.heads"), &kernel::HEADS, None, &params, &bindings);
        Ok(q)
    }

    /// A gated short convolution: `x += W_out · (C ⊙ conv(B ⊙ x'))`, `B, C, x' = W_in · n`.
    pub(super) fn conv(&mut self, i: usize, layer: &Layer, s: &Conv, x: &Buffer) -> Result<()> {
        let AttentionWeights::Conv { input, taps, output } = &layer.attention else {
            unreachable!("weights are loaded by the spec")
        };
        let (gated, mixed) = (self.scratch("gated", input.rows)?, self.scratch("mixed", output.cols)?);
        // A play reads what was before it while it writes.
        let (value, limit) = ((self.chunk + s.taps) as u64, Cache::RING as u64);
        if value > limit {
            return Err(Error::Limit {
                what: "tokens of a play, and what a convolution sees before it".into(),
                value,
                limit,
            });
        }
        let n = self.normed(&format!("layers.{i}.conv"), x, &layer.attention_norm)?;
        self.linear(format!("layers.{i}.conv.in"), (input, None), &n, &gated);
        let params = kernel::Conv { width: output.cols as u32, taps: s.taps as u32, ring: Cache::RING as u32 };
        let bindings = [&self.state.clone(), &gated, &taps.whole().weights, &self.cache.layers[i].0, &mixed];
        self.step(format!("layers.{i}.conv"), &kernel::CONV, None, &params, &bindings);
        self.add(format!("layers.{i}.conv.out"), (output, None), &mixed, x);
        Ok(())
    }

    /// Multi-head latent attention, absorbed: scores and mixing happen in the latent space, which alone is cached.
    pub(super) fn mla(&mut self, i: usize, layer: &Layer, s: &Mla, x: &Buffer) -> Result<()> {
        let AttentionWeights::Mla { down: w_down, queries, kv_norm, kv_b, o } = &layer.attention else {
            unreachable!("weights are loaded by the spec")
        };
        let (cached, q_width) = (s.rank + s.rope, s.heads * (s.nope + s.rope));
        let down = self.scratch("down", w_down.rows)?;
        let n = self.normed(&format!("layers.{i}.attention"), x, &layer.attention_norm)?;
        self.linear(format!("layers.{i}.down"), (w_down, None), &n, &down);
        let (q, q_stride) = match queries {
            None => (down.clone(), w_down.rows),
            Some(queries) => {
                let (q, up) = (self.scratch("q", q_width)?, &queries.up);
                let params = kernel::Matmul { x_stride: w_down.rows as u32, norm: 1, eps: LATENT_EPS, ..product(up) };
                self.product(format!("layers.{i}.q"), (up, None), params, &down, &queries.norm, &q);
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
            interleaved: u32::from(self.spec.rope.interleaved),
            eps: LATENT_EPS,
            half: self.half(),
        };
        let absorbed = self.scratch("absorbed", s.heads * cached)?;
        let (state, turns, cache) = (&self.state.clone(), &self.cache.rope, &self.cache.layers[i].0);
        let Slab { weights: kv, scales: kv_scales, .. } = kv_b.whole();
        let bindings = [state, turns, &q, &down, kv_norm, kv, kv_scales, &absorbed, cache];
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
            ..self.whole()
        };
        let (latents, mixed) = (self.scratch("latents", s.heads * s.rank)?, self.scratch("mixed", s.heads * s.value)?);
        // Values of each head from its mixed latent: its rows of kv_b after those of its keys.
        let (row_first, row_step) = (sizes.nope, sizes.nope + sizes.value);
        if self.chunk == 1 && self.splits(&params) == 1 {
            let params = kernel::Attention { value: sizes.value, row_first, row_step, ..params };
            let unused = self.unused.clone();
            let bindings = [state, &absorbed, cache, cache, &latents, &unused, kv, kv_scales, &mixed];
            self.step(format!("layers.{i}.attention"), &kernel::MLA_ATTENTION, Some(kv_b.format), &params, &bindings);
        } else {
            self.attend(i, params, None, &absorbed, &latents)?;
            let params = kernel::Matmul {
                rows: sizes.value,
                x_stride: sizes.heads * sizes.rank,
                y_stride: sizes.heads * sizes.value,
                batch: sizes.heads,
                row_first,
                row_step,
                x_step: sizes.rank,
                y_step: sizes.value,
                ..product(kv_b)
            };
            self.product(format!("layers.{i}.values"), (kv_b, None), params, &latents, &latents, &mixed);
        }
        self.add(format!("layers.{i}.o"), (o, None), &mixed, x);
        Ok(())
    }
}
