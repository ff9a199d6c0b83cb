//! The forward pass as a plan: embedding, layers, head.

use crate::device::{Buffer, Device, Plan};
use crate::error::Result;
use crate::kernel::State;
use crate::model::layers::Builder;
use crate::model::{Cache, ModelSpec, Weights};

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
        let tokens = device.buffer("tokens", 4 * chunk as u64)?;
        let mut b = Builder::new(device, cache, spec, chunk);
        let x = b.scratch("x", spec.hidden)?;
        b.embed(&weights.embed, &tokens, &x);
        for (i, (layer, spec)) in weights.layers.iter().zip(&spec.layers).enumerate() {
            b.layer(i, layer, spec, &x)?;
        }
        // Of a chunk only the last token goes on to the head, where that is all that is asked for.
        let one = rows == Logits::Last && chunk > 1;
        let x = if one { b.last(&x)? } else { x };
        let layers = b.take();
        let mut steps = layers.len();
        let body = device.compile(layers).await?;

        if one {
            b.chunk = 1;
        }
        let logits = b.scratch("logits", spec.vocab)?;
        b.normed_linear("head".into(), &weights.head, &x, &weights.norm, &logits);
        let head = b.take();
        steps += head.len();
        let head = device.compile(head).await?;
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
