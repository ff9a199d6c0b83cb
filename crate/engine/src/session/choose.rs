//! The choice of the next token, on the device: greedy, or sampled among what settings leave.

use crate::device::{Buffer, Device, Plan, Reading, Step};
use crate::error::{Error, Result};
use crate::kernel::{self, Settings};
use crate::model::{Cache, Steps};
use crate::session::Token;

/// Bytes of a choice: id, log-probability, and two words for the kernels' use.
const RESULT: u64 = 16;

/// A buffer, an offset in it, and bytes.
type Part<'a> = (&'a Buffer, u64, u64);

/// Buffers that all choices of a session share.
pub(super) struct Choice {
    settings: Buffer,
    /// A bit for each token seen: on the device, where choices set theirs, and here, where those that were taken back have
    /// none.
    seen: Buffer,
    bits: Vec<u32>,
    result: Buffer,
    vocab: usize,
}

impl Choice {
    pub(super) fn new(device: &dyn Device, vocab: usize) -> Result<Self> {
        let words = vocab.div_ceil(32);
        Ok(Choice {
            settings: device.buffer("settings", size_of::<Settings>() as u64)?,
            seen: device.buffer("seen", 4 * words as u64)?,
            bits: vec![0; words],
            result: device.buffer("result", RESULT)?,
            vocab,
        })
    }

    /// Steps for the logits of `forward`, whose choice is the next token of `decode`: one is greedy, one samples.
    pub(super) fn steps(&self, cache: &Cache, forward: &Steps, decode: &Steps) -> [Step; 2] {
        let vocab = self.vocab as u32;
        let step = |kernel: &'static kernel::Kernel, bindings: &[&Buffer]| Step {
            label: kernel.name.into(),
            kernel,
            format: None,
            // Both kernels have one parameter, the vocabulary.
            params: bytemuck::bytes_of(&vocab).to_vec(),
            bindings: bindings.iter().map(|b| (*b).clone()).collect(),
        };
        let next = [&cache.state, &decode.tokens, &self.result];
        let sampled = [&self.settings, &self.seen, &forward.logits, next[0], next[1], next[2]];
        let greedy = step(&kernel::ARGMAX, &[&forward.logits, next[0], next[1], next[2]]);
        [greedy, step(&kernel::SAMPLE, &sampled)]
    }

    /// Starts a request: its settings, and the tokens of its prompt as seen.
    pub(super) fn start(&mut self, device: &dyn Device, settings: &Settings, prompt: &[u32]) -> Result<()> {
        if settings.temperature == 0.0 {
            return Ok(());
        }
        device.write(&self.settings, 0, bytemuck::bytes_of(settings))?;
        self.bits.fill(0);
        prompt.iter().for_each(|id| self.saw(*id));
        self.tell(device)
    }

    /// Marks a token as seen.
    pub(super) fn saw(&mut self, id: u32) {
        self.bits[id as usize / 32] |= 1 << (id % 32);
    }

    /// Has the device know what was seen: after tokens that it did not choose, or that were taken back.
    pub(super) fn tell(&self, device: &dyn Device) -> Result<()> {
        device.write(&self.seen, 0, bytemuck::cast_slice(&self.bits))
    }

    /// Has the next token chosen, after the plays of `forward`, and asks for it and for what else there is to read: see
    /// [`Choice::token`].
    pub(super) fn begin(
        &self,
        device: &dyn Device,
        forward: &[(&Plan, u32)],
        choice: &Plan,
        beside: &[Part<'_>],
    ) -> Result<Reading> {
        device.play(&[forward, &[(choice, 1)]].concat())?;
        if beside.is_empty() {
            return device.begin_read(&self.result, 0, RESULT);
        }
        device.begin_reads(&[&[(&self.result, 0, RESULT)], beside].concat())
    }

    /// The token that was chosen, and what was read beside it. Logits that are not numbers are an error, never a token.
    pub(super) async fn token(&self, reading: Reading) -> Result<(Token, Vec<u32>)> {
        let mut words: Vec<u32> = bytemuck::pod_collect_to_vec(&reading.await?);
        let beside = words.split_off(RESULT as usize / 4);
        let (id, logprob) = (words[0], f32::from_bits(words[1]));
        if id as usize >= self.vocab || !logprob.is_finite() {
            return Err(Error::Device(format!("logits are not numbers: token {id} with log-probability {logprob}")));
        }
        Ok((Token { id, logprob: Some(logprob), experts: Vec::new() }, beside))
    }
}
