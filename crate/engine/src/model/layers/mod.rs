//! The steps of a forward pass. It reads like the papers; cleverness lives inside kernels.

mod attention;
mod ffn;

use std::collections::BTreeMap;

use bytemuck::Pod;

use crate::device::{Buffer, Device, Step};
use crate::error::Result;
use crate::format::Format;
use crate::kernel::{self, Kernel};
use crate::model::{Attention, Cache, Ffn, FfnWeights, Layer, LayerSpec, Matrix, ModelSpec, Rope};
use attention::Gqa;

/// Tokens up to which `matvec` is used; above it `matmul`'s tiles.
const MATVEC_TOKENS: usize = 4;

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
    /// Bound where a kernel has a binding that it does not use.
    unused: Buffer,
    steps: Vec<Step>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(device: &'a dyn Device, cache: &'a Cache, spec: &'a ModelSpec, chunk: usize) -> Result<Self> {
        let (rope, eps, unused) = (&spec.rope, spec.eps, device.buffer("unused", 16)?);
        Ok(Builder { device, cache, rope, eps, chunk, scratch: BTreeMap::new(), unused, steps: Vec::new() })
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
            (FfnWeights::Moe { router, bias, experts }, Ffn::Moe(moe)) => {
                self.moe(i, moe, (router, bias, experts), &layer.ffn_norm, x)?;
            }
            (FfnWeights::Dense(mlp), _) => {
                let hidden = self.mlp_hidden(&format!("layers.{i}.ffn"), mlp, layer, x)?;
                self.linear(format!("layers.{i}.ffn.down"), &mlp.down, &hidden, x, true);
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
