//! Runs a loaded model over tokens: the logits of every position, in chunks of any size.

use moebius_engine::Result;
use moebius_engine::model::{Cache, Forward, Logits, Model};

/// A model with its cache and forward pass.
pub(crate) struct Run {
    pub(crate) model: Model,
    pub(crate) cache: Cache,
    forward: Forward,
    /// Tokens played so far.
    position: usize,
}

impl Run {
    /// Compiles `model` for chunks of up to `chunk` tokens.
    pub(crate) fn new(model: Model, chunk: usize) -> Self {
        Run::compile(model, chunk).unwrap()
    }

    /// The same, if it can be.
    pub(crate) fn compile(model: Model, chunk: usize) -> Result<Self> {
        let device = model.device.clone();
        let cache = Cache::new(device.as_ref(), &model.spec, model.context, model.cache)?;
        let forward = pollster::block_on(Forward::compile(&model, &cache, chunk, Logits::All))?;
        Ok(Run { model, cache, forward, position: 0 })
    }

    /// Goes back to the start: the next tokens are the first.
    pub(crate) fn restart(&mut self) {
        self.position = 0;
    }

    /// Plays `tokens` after those played before; logits of each, `[T][V]`.
    pub(crate) fn play(&mut self, tokens: &[u32]) -> Vec<Vec<f32>> {
        let (device, vocab) = (self.model.device.clone(), self.model.spec.vocab);
        let mut rows = Vec::new();
        for part in tokens.chunks(self.forward.chunk) {
            pollster::block_on(self.forward.play(&self.model, &self.cache, self.position, part, 0, true)).unwrap();
            self.position += part.len();
            let bytes = 4 * (vocab * part.len()) as u64;
            let bytes = pollster::block_on(device.read(&self.forward.logits, 0, bytes)).unwrap();
            let floats: Vec<f32> =
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            rows.extend(floats.chunks_exact(vocab).map(<[f32]>::to_vec));
        }
        rows
    }

    /// Plays `prompt`, then `steps` greedy tokens one by one. The tokens, and the logits after the last.
    pub(crate) fn greedy(&mut self, prompt: &[u32], steps: usize) -> (Vec<u32>, Vec<f32>) {
        let mut logits = self.play(prompt).pop().unwrap();
        let mut tokens = Vec::new();
        for _ in 0..steps {
            tokens.push(largest(&logits));
            logits = self.play(&tokens[tokens.len() - 1..]).remove(0);
        }
        (tokens, logits)
    }
}

/// Index of the largest logit, the lowest among equals.
pub(crate) fn largest(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
    best.unwrap().0 as u32
}

/// Logarithms of the probabilities, in f64.
pub(crate) fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|v| f64::from(v - largest).exp()).sum();
    logits.iter().map(|v| f64::from(v - largest) - total.ln()).collect()
}

/// Negative log-likelihood in nats of each of `ids[1..]`, from the logits of all positions.
pub(crate) fn nll(logits: &[Vec<f32>], ids: &[u32]) -> Vec<f64> {
    ids[1..].iter().zip(logits).map(|(id, logits)| -log_softmax(logits)[*id as usize]).collect()
}

/// Mean Kullback-Leibler divergence in nats of `other` from `truth`, over positions.
pub(crate) fn divergence(truth: &[Vec<f32>], other: &[Vec<f32>]) -> f64 {
    assert_eq!(truth.len(), other.len());
    let one = |(a, b): (&Vec<f32>, &Vec<f32>)| -> f64 {
        let (p, q) = (log_softmax(a), log_softmax(b));
        p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum()
    };
    truth.iter().zip(other).map(one).sum::<f64>() / truth.len() as f64
}
