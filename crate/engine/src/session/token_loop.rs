//! The token loop: prompt in chunks over what is kept, then one token after another until something ends it.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::device::Reading;
use crate::error::{Error, Result};
use crate::kernel::Settings;
use crate::model::{Cache, Forward, Logits, Model};
use crate::session::choose::{Choice, Chooser};
use crate::session::{Finish, Host, Report, Sampling, Timings};

/// Tokens of a prompt that are played at once.
pub const CHUNK: usize = 64;

/// What a sink says to a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Go,
    /// Stop here.
    Stop,
    /// Go on, with these tokens next whatever the model would choose.
    Force(Vec<u32>),
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The prompt, control tokens included.
    pub prompt: &'a [u32],
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens to generate.
    pub max_new: usize,
    /// Whether an end token ends it.
    pub stop_at_end: bool,
    /// A token that must not come first.
    pub not_first: Option<u32>,
}

/// A model with the keys and values of a conversation.
pub struct Session {
    /// The model.
    pub model: Model,
    /// Ids that end an answer; the model's own, unless the caller adds some.
    pub ends: Vec<u32>,
    pub(super) cache: Cache,
    prefill: (Forward, Chooser),
    decode: (Forward, Chooser),
    choice: Choice,
    /// Tokens whose keys and values are in the cache.
    pub(super) kept: Vec<u32>,
    /// Most tokens in flight; 1 waits for each before the next is played.
    pub most_ahead: usize,
}

/// Milliseconds of work that may wait on a device: it serves others too, and what is in flight at the end is lost.
const QUEUED_MS: f64 = 40.0;

/// The tokens of one answer that are under way.
struct Flight {
    /// Choices that were asked for, the oldest first; each but the first follows a play of the one before.
    coming: VecDeque<Reading>,
    /// Positions that have been played: all of `kept`, and those of `coming` but the last.
    played: usize,
    /// Most choices under way.
    ahead: usize,
    /// Tokens that come next whatever the model would choose.
    forced: VecDeque<u32>,
    /// The device saw tokens that were taken back, or has not seen those that were forced.
    stale: bool,
    /// The request's seed.
    seed: u64,
    greedy: bool,
}

impl Session {
    /// A session on `model`, its cache empty.
    pub async fn new(model: Model) -> Result<Self> {
        let (device, spec) = (model.device.as_ref(), &model.spec);
        let cache = Cache::new(device, spec, model.context)?;
        let choice = Choice::new(device, spec.vocab)?;
        let chunk = CHUNK.min(model.context);
        let prefill = Forward::compile(&model, &cache, chunk, Logits::Last).await?;
        let decode = Forward::compile(&model, &cache, 1, Logits::Last).await?;
        let first = choice.chooser(device, &cache, &prefill, &decode).await?;
        let next = choice.chooser(device, &cache, &decode, &decode).await?;
        let (prefill, decode) = ((prefill, first), (decode, next));
        let (ends, most_ahead) = (model.spec.eos.clone(), device.limits().ahead);
        Ok(Session { ends, model, cache, prefill, decode, choice, kept: Vec::new(), most_ahead })
    }

    /// Kernel launches a token: a forward pass and the choice.
    #[must_use]
    pub fn launches(&self) -> usize {
        self.decode.0.steps + 1
    }

    /// Forgets the conversation.
    pub fn reset(&mut self) {
        self.kept.clear();
    }

    /// Generates after a prompt, reusing the keys and values of as much of it as the session already holds. Each token
    /// but an end token goes to `sink`.
    pub async fn generate(
        &mut self,
        request: &Request<'_>,
        host: &dyn Host,
        sink: &mut dyn FnMut(u32) -> Next,
    ) -> Result<Report> {
        let start = host.now();
        let Sampling { settings, seed } = request.sampling;
        let seed = seed.unwrap_or_else(|| start.to_bits());
        let greedy = settings.temperature == 0.0;
        self.check(request.prompt, &settings)?;
        let mut report = Report { tokens: Vec::new(), finish: Finish::Length, timings: Timings::default() };
        if request.max_new == 0 {
            return Ok(report);
        }
        self.choice.start(self.model.device.as_ref(), &settings, request.prompt)?;
        report.timings.cache_n = self.keep(request.prompt);
        if self.read(request.prompt, seed, host).await?.is_break() {
            report.finish = Finish::Abort;
            return Ok(report);
        }
        report.timings.prompt_n = request.prompt.len() - report.timings.cache_n;
        let device = self.model.device.clone();
        let device = device.as_ref();
        if let Some(id) = request.not_first {
            device.write(&self.prefill.0.logits, 4 * u64::from(id), bytemuck::bytes_of(&f32::MIN))?;
        }
        let (coming, forced) =
            (VecDeque::from([self.choice.begin(device, &[], &self.prefill.1, greedy)?]), VecDeque::new());
        let mut flight = Flight { coming, played: self.kept.len(), ahead: 1, forced, stale: false, seed, greedy };
        let mut first_at = None;
        report.finish = loop {
            let id = self.next(&mut flight, request.max_new - report.tokens.len()).await?;
            let first = *first_at.get_or_insert_with(|| host.now());
            if request.stop_at_end && self.ends.contains(&id) {
                break Finish::Stop;
            }
            report.tokens.push(id);
            match sink(id) {
                Next::Go => {}
                Next::Stop => break Finish::Stop,
                Next::Force(ids) => {
                    flight.coming.clear();
                    flight.forced.extend(ids);
                    flight.stale = true;
                }
            }
            if report.tokens.len() >= request.max_new || self.kept.len() >= self.model.context {
                break Finish::Length;
            }
            if host.breathe().await.is_break() {
                break Finish::Abort;
            }
            self.choice.saw(id);
            self.kept.push(id);
            let each = (host.now() - first) / report.tokens.len() as f64;
            flight.ahead = ((QUEUED_MS / each) as usize).clamp(1, self.most_ahead);
            if flight.coming.is_empty() {
                self.play_known(&mut flight, id)?;
            }
        };
        let (end, first) = (host.now(), first_at.unwrap_or(start));
        report.timings.prompt_ms = first - start;
        report.timings.predicted_n = report.tokens.len();
        report.timings.predicted_ms = end - first;
        report.timings = report.timings.with_rates();
        Ok(report)
    }

    /// Logits after `tokens`: `[V]`.
    pub async fn logits(&mut self, tokens: &[u32], host: &dyn Host) -> Result<Vec<f32>> {
        self.check(tokens, &Sampling::greedy().settings)?;
        self.keep(tokens);
        if self.read(tokens, 0, host).await?.is_break() {
            return Err(Error::Request { field: "tokens".into(), reason: "stopped by the caller".into() });
        }
        let logits = &self.prefill.0.logits;
        let bytes = self.model.device.read(logits, 0, 4 * self.model.spec.vocab as u64).await?;
        Ok(bytemuck::pod_collect_to_vec(&bytes))
    }

    /// Refuses a prompt the model cannot take.
    pub(super) fn check(&self, prompt: &[u32], settings: &Settings) -> Result<()> {
        let wrong = |field: &str, reason: String| Err(Error::Request { field: field.into(), reason });
        if prompt.is_empty() {
            return wrong("prompt", "has no tokens".into());
        }
        if let Some(id) = prompt.iter().find(|id| **id as usize >= self.model.spec.vocab) {
            return wrong("prompt", format!("token {id} is outside the vocabulary of {}", self.model.spec.vocab));
        }
        if prompt.len() > self.model.context {
            return Err(Error::ContextFull { prompt: prompt.len(), context: self.model.context });
        }
        let s = settings;
        let sound = s.temperature >= 0.0 && (0.0..=1.0).contains(&s.top_p) && (0.0..=1.0).contains(&s.min_p);
        if !(sound && s.temperature.is_finite() && s.repetition_penalty > 0.0 && s.repetition_penalty.is_finite()) {
            return wrong("sampling", format!("out of range: {s:?}"));
        }
        Ok(())
    }

    /// Keeps what the cache and `prompt` have in common, less the last token, whose logits are wanted; says how much.
    fn keep(&mut self, prompt: &[u32]) -> usize {
        let common = self.kept.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        self.kept.truncate(common.min(prompt.len() - 1));
        self.kept.len()
    }

    /// Plays the rest of `prompt` in chunks.
    async fn read(&mut self, prompt: &[u32], seed: u64, host: &dyn Host) -> Result<ControlFlow<()>> {
        while self.kept.len() < prompt.len() {
            if host.breathe().await.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let at = self.kept.len();
            let forward = &self.prefill.0;
            let chunk = &prompt[at..prompt.len().min(at + forward.chunk)];
            forward.play(self.model.device.as_ref(), &self.cache, at, chunk, seed)?;
            self.kept.extend_from_slice(chunk);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The next token of an answer of at most `most` more, with as many after it under way as may be.
    async fn next(&self, flight: &mut Flight, most: usize) -> Result<u32> {
        if let Some(id) = flight.forced.pop_front() {
            return Ok(id);
        }
        let (device, (forward, chooser)) = (self.model.device.as_ref(), &self.decode);
        if flight.coming.is_empty() {
            flight.coming.push_back(self.choice.begin(device, &[], chooser, flight.greedy)?);
        }
        // The device goes from a choice to the next play by itself: nothing is written.
        while flight.coming.len() < flight.ahead.min(most) && flight.played < self.model.context {
            flight.played += 1;
            flight.coming.push_back(self.choice.begin(device, &forward.plays(1), chooser, flight.greedy)?);
        }
        match flight.coming.pop_front() {
            Some(reading) => self.choice.id(reading).await,
            None => unreachable!("one was asked for above"),
        }
    }

    /// Plays the last kept token, which the device may not know: nothing was under way, or what was is taken back.
    fn play_known(&self, flight: &mut Flight, id: u32) -> Result<()> {
        let device = self.model.device.as_ref();
        if flight.stale && !flight.greedy {
            self.choice.tell(device)?;
        }
        flight.stale = !flight.forced.is_empty();
        self.decode.0.play(device, &self.cache, self.kept.len() - 1, &[id], flight.seed)?;
        flight.played = self.kept.len();
        Ok(())
    }
}
