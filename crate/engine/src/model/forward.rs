//! The forward pass as a plan: embedding, layers, head.

use std::cell::Cell;

use futures_util::future::try_join;

use crate::device::{Buffer, Device, Plan, Step};
use crate::error::Result;
use crate::kernel::State;
use crate::model::layers::Builder;
use crate::model::stages::{Cut, Cuts, Staged};
use crate::model::{Cache, Model};

/// Which tokens' logits a plan computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// The last token's only: `[V]`.
    Last,
    /// Every token's: `[T, V]`.
    All,
}

/// The steps of a forward pass, and the buffers at its ends.
pub struct Steps {
    /// Embedding and layers, for a play of all tokens.
    pub body: Vec<Step>,
    /// Norm and head, for a play of all tokens. Where the last token's logits are all that is asked of several, for a play of that one: the
    /// last layer of it comes first, since nobody asks what that makes of the others.
    pub head: Vec<Step>,
    /// Most tokens in a play.
    pub chunk: usize,
    /// Which logits the head computes.
    pub rows: Logits,
    /// Token ids `[chunk]`.
    pub tokens: Buffer,
    /// Logits, `[V]` or `[chunk, V]`.
    pub logits: Buffer,
    /// What tokens choose, layer by layer of those that have experts.
    pub(crate) choices: Vec<Choices>,
    /// The state of the last token, where it alone has a head of several.
    pub last: Option<Buffer>,
    /// Where experts are, if they may be missing.
    cuts: Option<Cuts>,
}

impl Steps {
    /// The forward pass of `model` for plays of up to `chunk` tokens.
    pub fn new(model: &Model, cache: &Cache, chunk: usize, rows: Logits) -> Result<Self> {
        let Model { device, spec, weights, .. } = model;
        let device = device.as_ref();
        let tokens = device.buffer("tokens", 4 * chunk as u64)?;
        // A token of a device that runs ahead is played whole, and what its layers chose is read when it is done.
        let apart = model.residency.is_some() && chunk == 1 && device.limits().ahead > 1;
        let mut b = Builder::new(device, cache, spec, chunk, apart)?;
        b.guesses = model.residency.is_some() && !apart;
        let x = b.scratch("x", spec.hidden)?;
        b.embed(&weights.embed, &tokens, &x);
        // Of a chunk only the last token goes on to the head, where that is all that is asked for.
        let last = (rows == Logits::Last && chunk > 1).then(|| Cache::new_state(device)).transpose()?;
        let whole = spec.layers.len() - usize::from(last.is_some());
        for (i, (layer, spec)) in weights.layers.iter().zip(&spec.layers).enumerate().take(whole) {
            b.layer(i, layer, spec, &x)?;
        }
        let (body, x) = match &last {
            Some(state) => b.last_layer(whole, &weights.layers[whole], &spec.layers[whole], &x, state)?,
            None => (b.take(), x),
        };
        let (list, state) = (std::mem::take(&mut b.cuts), cache.state.clone());
        let choices = list.iter().map(Cut::choices).collect();
        let alone = last.is_some();
        let cuts = model.residency.clone().map(|residency| Cuts { residency, list, alone, apart, state });
        let logits = b.scratch("logits", spec.vocab)?;
        b.head(weights, &x, &logits)?;
        Ok(Steps { body, head: b.take(), chunk, rows, tokens, logits, choices, last, cuts })
    }

    /// Prepares them for playing.
    pub async fn compile(&self, device: &dyn Device) -> Result<Forward> {
        let Steps { body, head, chunk, rows, tokens, logits, choices, last, cuts } = self;
        let stages = match cuts {
            Some(cuts) => Some((cuts.residency.stage)(device, [body, head], cuts).await?),
            None => None,
        };
        let (steps, tokens, logits) = (body.len() + head.len(), tokens.clone(), logits.clone());
        let (body, head) = try_join(device.compile(body.clone()), device.compile(head.clone())).await?;
        let (choices, last) = (choices.clone(), last.clone());
        Ok(Forward {
            body,
            head,
            stages,
            chunk: *chunk,
            rows: *rows,
            steps,
            tokens,
            logits,
            choices,
            last,
            staged: Cell::default(),
        })
    }
}

/// A compiled forward pass for up to `chunk` tokens, and the buffers it works in.
pub struct Forward {
    /// [`Steps::body`].
    body: Plan,
    /// [`Steps::head`].
    head: Plan,
    /// Both in stages, if experts may be missing.
    stages: Option<Box<dyn Staged>>,
    /// Most tokens in a play.
    pub chunk: usize,
    /// Which logits the head computes.
    pub rows: Logits,
    /// Kernel launches of a play.
    pub steps: usize,
    /// [`Steps::tokens`].
    pub tokens: Buffer,
    /// [`Steps::logits`].
    pub logits: Buffer,
    /// What tokens choose, layer by layer of those that have experts.
    pub choices: Vec<Choices>,
    /// [`Steps::last`].
    last: Option<Buffer>,
    /// Whether the last play was in stages, which count what tokens choose.
    pub(crate) staged: Cell<bool>,
}

/// Where a layer's choices stand.
#[derive(Clone)]
pub struct Choices {
    /// Pairs (expert, weight) of each token, the routed experts' first.
    pub pairs: Buffer,
    /// Pairs of a token.
    pub each: usize,
    /// Those of routed experts.
    pub routed: usize,
    /// Whether they are those of the last token alone.
    pub alone: bool,
}

impl Forward {
    /// Compiles the forward pass of `model` for plays of up to `chunk` tokens.
    pub async fn compile(model: &Model, cache: &Cache, chunk: usize, rows: Logits) -> Result<Self> {
        Steps::new(model, cache, chunk, rows)?.compile(model.device.as_ref()).await
    }

    /// Plays `tokens` at `position`; then the logits hold the last token's or all tokens' values. Where they are not `wanted`, what only
    /// they are made of may be left out. Waits for experts that are not there, and for nothing else.
    ///
    /// # Panics
    /// When there are no tokens, or more than the chunk or the cache holds: callers split prompts.
    pub async fn play(
        &self,
        model: &Model,
        cache: &Cache,
        position: usize,
        tokens: &[u32],
        seed: u64,
        wanted: bool,
    ) -> Result<()> {
        let device = model.device.as_ref();
        assert!(!tokens.is_empty() && tokens.len() <= self.chunk, "{} tokens in a chunk", tokens.len());
        assert!(position + tokens.len() <= cache.context, "position {position} in the cache");
        let count = tokens.len() as u32;
        let state =
            State { position: position as u32, tokens: count, seed: seed as u32, seed_high: (seed >> 32) as u32 };
        cache.begin(device, state, self.last.as_ref())?;
        device.write(&self.tokens, 0, bytemuck::cast_slice(tokens))?;
        self.staged.set(!model.whole());
        let plays = self.plays(count);
        match &self.stages {
            Some(stages) if self.staged.get() => stages.play(device, count, wanted).await,
            _ if wanted || self.last.is_none() => device.play(&plays),
            _ => device.play(&plays[..1]),
        }
    }

    /// Where the choices of token `at` of a play stand, the last if only that one has them, a part for each layer.
    pub(crate) fn chosen(&self, at: usize) -> Vec<(&Buffer, u64, u64)> {
        let at = |choices: &Choices| if choices.alone { 0 } else { at as u64 };
        let bytes = |choices: &Choices| 8 * choices.each as u64;
        self.choices.iter().map(|choices| (&choices.pairs, at(choices) * bytes(choices), bytes(choices))).collect()
    }

    /// What to play for `count` tokens that are on the device, at the position of the state there.
    pub fn plays(&self, count: u32) -> [(&Plan, u32); 2] {
        [(&self.body, count), (&self.head, if self.rows == Logits::Last { 1 } else { count })]
    }
}
