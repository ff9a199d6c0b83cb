//! A session: what it keeps of a conversation, prompts in chunks over that, and what comes of them.

use std::future::Future;
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::device::{Device, Reading};
use crate::error::{Error, Result};
use crate::kernel::Settings;
use crate::model::{Cache, Files, LoadOptions, Model, Prefix, Progress, Room};
use crate::session::rig::Rig;
use crate::session::token_loop::Answer;
use crate::session::{Finish, Host, Recover, Report, Sampling, Tokenizer};
use crate::source::Source;

/// Tokens of a prompt that are played at once, at most where a model has convolutions and its device runs ahead.
pub const CHUNK: usize = 64;

/// Two chunks, one waiting for the other, and tokens in flight may be in the cache beyond what is kept.
const _: () = assert!(2 * CHUNK + 8 <= Cache::AHEAD, "Cache::AHEAD");

/// A token of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Its natural log-probability among those it was drawn from; none where it was forced.
    pub logprob: Option<f32>,
    /// The routed experts that the pass chose which it was drawn from, layer by layer of those that have any; nothing unless
    /// [`Request::routing`], and where it was forced.
    pub experts: Vec<Vec<u32>>,
}

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
    /// Whether each token is to say what experts were chosen for it.
    pub routing: bool,
}

/// A model with the keys and values of a conversation.
pub struct Session {
    /// The model.
    pub model: Model,
    /// Ids that end an answer; the model's own, unless the caller adds some.
    pub ends: Vec<u32>,
    /// Tokens whose keys and values are in the cache.
    pub(super) kept: Vec<u32>,
    pub(super) rig: Rig,
    /// Most tokens in flight; 1 waits for each before the next is played.
    pub most_ahead: usize,
    /// The model's tokenizer, where it was made while weights came: its text is let go then.
    tokenizer: Option<Tokenizer>,
    /// What to do when the device is lost; without it that is an error.
    pub recovery: Option<Rc<dyn Recover>>,
}

impl Session {
    /// A session on the model in `source`: see [`Model::load`]. While its weights come, the device is made ready.
    pub async fn load(
        source: &dyn Source,
        device: Rc<dyn Device>,
        options: &LoadOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let (model, pending) = Model::reserve(source, device, options).await?;
        let rig = Rig::new(&model)?;
        rig.beside(pending.load(progress)).await?;
        Session::with(model, rig)
    }

    /// The same, which answers as soon as what every token reads is there: see [`Model::stream`]. What the device makes ready beside other
    /// work may take longer, until [`Session::ready`]: a request waits for what it wants of it.
    pub async fn stream(
        source: Rc<dyn Source>,
        device: Rc<dyn Device>,
        options: &LoadOptions,
        room: Room,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self> {
        let mut tokenizer = None;
        let mut texts = |files: &mut Files| {
            // What is wrong with it is told by whoever needs it, from the text.
            tokenizer = Tokenizer::of(files).ok();
            files.tokenizer.take_if(|_| tokenizer.is_some());
        };
        let (model, pending) = Model::stream(source, device, options, room, &mut texts).await?;
        let rig = Rig::new(&model)?;
        rig.beside(pending.load(progress)).await?;
        Ok(Session { tokenizer, ..Session::with(model, rig)? })
    }

    /// A session on `model`, its cache empty but for the beginning that came with it.
    pub async fn new(model: Model) -> Result<Self> {
        let rig = Rig::new(&model)?;
        rig.ready().await?;
        Session::with(model, rig)
    }

    fn with(mut model: Model, rig: Rig) -> Result<Self> {
        let (ends, most_ahead) = (model.spec.eos.clone(), model.device.limits().ahead);
        let mut kept = Vec::new();
        if let Some(prefix) = &mut model.prefix {
            prefix.put(model.device.as_ref(), &model.spec, &rig.cache)?;
            kept.clone_from(&prefix.tokens);
        }
        Ok(Session { model, ends, kept, rig, most_ahead, tokenizer: None, recovery: None })
    }

    /// The model's tokenizer; errors are those of [`Tokenizer::of`].
    pub fn tokenizer(&mut self) -> Result<&Tokenizer> {
        let tokenizer = self.take_tokenizer()?;
        Ok(self.tokenizer.insert(tokenizer))
    }

    /// The same, for whoever keeps it.
    pub(crate) fn take_tokenizer(&mut self) -> Result<Tokenizer> {
        self.tokenizer.take().map_or_else(|| Tokenizer::of(&self.model.files), Ok)
    }

    /// What a pack may have of `tokens`, which prompts with the system prompt `system` begin with.
    pub async fn prefix(&mut self, system: String, tokens: Vec<u32>, host: &dyn Host) -> Result<Prefix> {
        self.check(&tokens, &Sampling::greedy().settings)?;
        // From the start: what a convolution keeps is of the last tokens alone.
        self.reset();
        if self.read(&tokens, 0, host).await?.is_break() {
            return Err(Error::Request { field: "prefix".into(), reason: "stopped by the caller".into() });
        }
        Prefix::of(self.model.device.as_ref(), (&self.model.spec, &self.rig.cache), system, tokens).await
    }

    /// Until the device is ready for whatever is asked. Where it is not good for that, a request finds it lost.
    pub fn ready(&self) -> impl Future<Output = Result<()>> + use<> {
        self.rig.ready()
    }

    /// Kernel launches a token: a forward pass and the choice.
    #[must_use]
    pub fn launches(&self) -> usize {
        self.rig.decode.launches + 1
    }

    /// Tokens of a prompt that are played at once.
    #[must_use]
    pub fn chunk(&self) -> usize {
        self.rig.prefill.chunk
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
        sink: &mut dyn FnMut(Token) -> Next,
    ) -> Result<Report> {
        let start = host.now();
        let seed = request.sampling.seed.unwrap_or_else(|| start.to_bits());
        let mut answer = Answer::new(start, seed);
        self.check(request.prompt, &request.sampling.settings)?;
        if request.max_new == 0 {
            return Ok(answer.report(Finish::Length, start));
        }
        let work = async |session: &mut Session| session.answer(&mut answer, request, host, sink).await;
        let finish = self.persist(work).await?;
        Ok(answer.report(finish, host.now()))
    }

    /// Logits after `tokens`: `[V]`.
    pub async fn logits(&mut self, tokens: &[u32], host: &dyn Host) -> Result<Vec<f32>> {
        self.check(tokens, &Sampling::greedy().settings)?;
        let work = async |session: &mut Session| {
            session.keep(tokens);
            if session.read(tokens, 0, host).await?.is_break() {
                return Err(Error::Request { field: "tokens".into(), reason: "stopped by the caller".into() });
            }
            let (model, forward) = (&session.model, session.rig.prefill.forward().await?);
            model.device.read(&forward.logits, 0, 4 * model.spec.vocab as u64).await
        };
        Ok(bytemuck::pod_collect_to_vec(&self.persist(work).await?))
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
    pub(super) fn keep(&mut self, prompt: &[u32]) -> usize {
        let common = self.kept.iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let common = common.min(prompt.len() - 1);
        let rewinds = self.kept.len() - common <= self.rig.cache.rewind;
        self.kept.truncate(if rewinds { common } else { 0 });
        self.kept.len()
    }

    /// Plays the rest of `prompt` in chunks, one while the next waits: who stops it does not wait for the rest, and the device
    /// learns what it takes.
    pub(super) async fn read(&mut self, prompt: &[u32], seed: u64, host: &dyn Host) -> Result<ControlFlow<()>> {
        let device = self.model.device.as_ref();
        let forward = self.rig.prefill.forward().await?;
        // What a prompt does not want can wait: its first word may not.
        let _hold = self.model.residency.as_ref().map(|residency| residency.hold());
        let (mut before, mut since): (Option<Reading>, _) = (None, host.now());
        while self.kept.len() < prompt.len() {
            if host.breathe().await.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let at = self.kept.len();
            let chunk = &prompt[at..prompt.len().min(at + forward.chunk)];
            let wanted = at + chunk.len() == prompt.len();
            forward.play(&self.model, &self.rig.cache, at, chunk, seed, wanted).await?;
            let done = device.begin_read(&self.rig.cache.state, 0, 4)?;
            self.kept.extend_from_slice(chunk);
            if let Some(before) = before.replace(done) {
                before.await?;
                let now = host.now();
                if self.model.whole() {
                    device.pace((now - since) / forward.steps as f64);
                }
                since = now;
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}
