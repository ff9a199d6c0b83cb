//! The steps of a forward pass. It reads like the papers; cleverness lives inside kernels.

mod attention;
mod ffn;

use std::collections::BTreeMap;

use bytemuck::Pod;

use crate::device::{Buffer, Device, Step};
use crate::error::Result;
use crate::format::Format;
use crate::kernel::{self, Kernel};
use crate::model::stages::Cut;
use crate::model::{Attention, Cache, Ffn, FfnWeights, Layer, LayerSpec, Matrix, ModelSpec, Norm, Weights};
use crate::weights::Slab;

/// Tokens up to which `matvec` is used; above it `matmul`'s tiles.
pub(super) const MATVEC_TOKENS: usize = 4;

/// A matrix and its bias.
type Product<'a> = (&'a Matrix, Option<&'a Buffer>);

/// What products read: `x`, or the RMSNorm of it by a weight.
struct Input {
    x: Buffer,
    norm: Option<Buffer>,
}

impl Input {
    /// As kernels ask it.
    fn normed(&self) -> u32 {
        u32::from(self.norm.is_some())
    }

    /// The norm's weight, or anything.
    fn weight(&self) -> &Buffer {
        self.norm.as_ref().unwrap_or(&self.x)
    }
}

/// Collects steps. Each method is one or a few lines of a paper.
pub(super) struct Builder<'a> {
    device: &'a dyn Device,
    cache: &'a Cache,
    spec: &'a ModelSpec,
    /// Tokens in a play, at most.
    pub(super) chunk: usize,
    /// [`kernel::State`] of the tokens that steps are for.
    pub(super) state: Buffer,
    /// Scratch buffers by name: layers run one after another and share them.
    scratch: BTreeMap<String, Buffer>,
    /// Whether what experts read is kept apart, for a play that begins again at any of them.
    apart: bool,
    /// Whether layers say beforehand what they would choose.
    pub(super) guesses: bool,
    /// Bound where a kernel has a binding that it does not use.
    unused: Buffer,
    steps: Vec<Step>,
    /// Where experts are among the steps so far.
    pub(super) cuts: Vec<Cut>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        device: &'a dyn Device,
        cache: &'a Cache,
        spec: &'a ModelSpec,
        chunk: usize,
        apart: bool,
    ) -> Result<Self> {
        let unused = device.buffer("unused", 16)?;
        let (scratch, steps, cuts) = (BTreeMap::new(), Vec::new(), Vec::new());
        let state = cache.state.clone();
        Ok(Builder { device, cache, spec, chunk, state, scratch, apart, guesses: false, unused, steps, cuts })
    }

    /// The steps so far, which the next ones do not follow.
    pub(super) fn take(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// A working buffer `[chunk, width]`, shared by all layers that ask for the same name and width.
    pub(super) fn scratch(&mut self, name: &str, width: usize) -> Result<Buffer> {
        self.words(name, self.chunk * width)
    }

    /// A working buffer of `count` words, shared likewise.
    pub(super) fn words(&mut self, name: &str, count: usize) -> Result<Buffer> {
        let key = format!("{name} {count}");
        if let Some(buffer) = self.scratch.get(&key) {
            return Ok(buffer.clone());
        }
        let buffer = self.device.buffer(name, 4 * count as u64)?;
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
        for Slab { first, rows, weights, scales } in &table.slabs {
            let (first, rows) = (*first as u32, *rows as u32);
            let params = kernel::Embed { width: table.cols as u32, scale: self.spec.embed_scale, first, rows };
            let bindings = [tokens, weights, scales, x];
            self.step("embed".into(), &kernel::EMBED, Some(table.format), &params, &bindings);
        }
    }

    /// The last token of `x`: what follows is for it alone.
    pub(super) fn last(&mut self, x: &Buffer) -> Result<Buffer> {
        let width = x.bytes() as usize / 4 / self.chunk;
        let last = self.device.buffer("last", 4 * width as u64)?;
        let (params, state) = (kernel::Last { width: width as u32 }, self.state.clone());
        self.step("last".into(), &kernel::LAST, None, &params, &[&state, x, &last]);
        Ok(last)
    }

    /// `x += r·(W·y + b)`, `r` the factor of residuals.
    fn add(&mut self, label: String, product: Product<'_>, y: &Buffer, x: &Buffer) {
        let params = kernel::Matmul { accumulate: 1, scale: self.spec.residual_scale, ..self::product(product.0) };
        self.product(label, product, params, y, y, x);
    }

    /// What products read of `x` under a norm: RMSNorm is theirs to make, LayerNorm is made first.
    fn normed(&mut self, label: &str, x: &Buffer, norm: &Norm) -> Result<Input> {
        let Some(bias) = &norm.bias else { return Ok(Input { x: x.clone(), norm: Some(norm.weight.clone()) }) };
        let name = if self.apart { format!("{label}.normed") } else { "normed".into() };
        let y = self.scratch(&name, self.spec.hidden)?;
        let params = kernel::LayerNorm { width: self.spec.hidden as u32, eps: self.spec.eps };
        self.step(format!("{label}.norm"), &kernel::LAYER_NORM, None, &params, &[x, &norm.weight, bias, &y]);
        Ok(Input { x: y, norm: None })
    }

    /// `y = W·n + b`.
    fn linear(&mut self, label: String, product: Product<'_>, n: &Input, y: &Buffer) {
        self.scaled(label, product, n, 1.0, y);
    }

    /// `y = r·(W·n + b)`.
    fn scaled(&mut self, label: String, product: Product<'_>, n: &Input, scale: f32, y: &Buffer) {
        let params = kernel::Matmul { norm: n.normed(), eps: self.spec.eps, scale, ..self::product(product.0) };
        self.product(label, product, params, &n.x, n.weight(), y);
    }

    /// Logits of `x`.
    pub(super) fn head(&mut self, weights: &Weights, x: &Buffer, y: &Buffer) -> Result<()> {
        let n = self.normed("head", x, &weights.norm)?;
        self.scaled("head".into(), (&weights.head, weights.head_bias.as_ref()), &n, self.spec.logit_scale, y);
        Ok(())
    }

    /// A product of all rows of a matrix, or of some of one that is not told apart.
    fn product(
        &mut self,
        label: String,
        (m, bias): Product<'_>,
        params: kernel::Matmul,
        x: &Buffer,
        norm: &Buffer,
        y: &Buffer,
    ) {
        let (unused, state) = (self.unused.clone(), self.state.clone());
        for slab in &m.slabs {
            // A product of some rows of a matrix says itself how many, and where they go.
            let (rows, first) = match m.slabs.len() {
                1 => (params.rows, params.first),
                _ => (slab.rows as u32, slab.first as u32),
            };
            let params = kernel::Matmul { rows, bias: u32::from(bias.is_some()), first, ..params };
            let Slab { weights, scales, .. } = slab;
            let bindings = [&state, x, norm, weights, scales, y, bias.unwrap_or(&unused)];
            if self.chunk <= MATVEC_TOKENS {
                self.step(label.clone(), &kernel::MATVEC, Some(m.format), &params, &bindings[1..]);
            } else {
                self.step(label.clone(), &kernel::MATMUL, Some(m.format), &params, &bindings);
            }
        }
    }

    /// `x += attention(norm(x)); x += ffn(norm(x))`.
    pub(super) fn layer(&mut self, i: usize, layer: &Layer, spec: &LayerSpec, x: &Buffer) -> Result<()> {
        let first = self.steps.len();
        self.attention(i, layer, spec, x)?;
        self.ffn((i, first), layer, spec, x)
    }

    /// The last layer of a play whose last token alone is of interest, and that token: of the others only what later ones read of them is
    /// made. What follows is for a play of the one token, with a state of its own.
    pub(super) fn last_layer(
        &mut self,
        i: usize,
        layer: &Layer,
        spec: &LayerSpec,
        x: &Buffer,
        state: &Buffer,
    ) -> Result<(Vec<Step>, Buffer)> {
        let keys = if let Attention::Gqa(gqa) = &spec.attention {
            self.keys(i, layer, gqa, x)?;
            true
        } else {
            self.attention(i, layer, spec, x)?;
            false
        };
        let guess = if let Ffn::Moe(moe) = &spec.ffn { self.guess(i, layer, moe, x)? } else { None };
        let x = self.last(x)?;
        let body = self.take();
        let before = self.cuts.len();
        (self.chunk, self.state, self.guesses) = (1, state.clone(), false);
        if keys {
            self.layer(i, layer, spec, &x)?;
        } else {
            self.ffn((i, 0), layer, spec, &x)?;
        }
        if let Some(cut) = self.cuts.get_mut(before) {
            (cut.alone, cut.guess) = (true, guess);
        }
        Ok((body, x))
    }

    fn attention(&mut self, i: usize, layer: &Layer, spec: &LayerSpec, x: &Buffer) -> Result<()> {
        match &spec.attention {
            Attention::Gqa(gqa) => self.gqa(i, layer, gqa, x),
            Attention::Mla(mla) => self.mla(i, layer, mla, x),
            Attention::Conv(conv) => self.conv(i, layer, conv, x),
        }
    }

    /// The feed-forward of layer `i`, which begins with step `first`.
    fn ffn(&mut self, (i, first): (usize, usize), layer: &Layer, spec: &LayerSpec, x: &Buffer) -> Result<()> {
        match (&layer.ffn, &spec.ffn) {
            (FfnWeights::Moe { .. }, Ffn::Moe(moe)) => self.moe((i, first), layer, moe, x)?,
            (FfnWeights::Dense(mlp), _) => {
                let n = self.normed(&format!("layers.{i}.ffn"), x, &layer.ffn_norm)?;
                let hidden = self.mlp_hidden(&format!("layers.{i}.ffn"), mlp, &n)?;
                self.add(format!("layers.{i}.ffn.down"), (&mlp.down, None), &hidden, x);
            }
            (FfnWeights::Moe { .. }, Ffn::Dense(_)) => unreachable!("weights are loaded by the spec"),
        }
        Ok(())
    }
}

/// `y = W·x` of whole tokens.
fn product(m: &Matrix) -> kernel::Matmul {
    kernel::Matmul::plain(m.rows as u32, m.cols as u32)
}
