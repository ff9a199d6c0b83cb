//! What a session has on its model's device, made anew where that one is lost.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, Shared, select, try_join};

use crate::device::{Device, Plan, Step};
use crate::error::{Error, Result};
use crate::model::{Attention, Cache, Choices, Forward, Logits, Model, Steps};
use crate::session::choose::Choice;
use crate::session::kept::CHUNK;

/// The cache, the forward passes with the choice after each, and what choices share.
pub(super) struct Rig {
    pub(super) cache: Cache,
    /// For chunks of a prompt.
    pub(super) prefill: Part,
    /// For a token.
    pub(super) decode: Part,
    pub(super) choice: Choice,
    /// Whether the device makes things ready beside other work.
    beside: bool,
}

/// A forward pass and the choices after it, which may still be in the making.
pub(super) struct Part {
    /// Most tokens of a play.
    pub(super) chunk: usize,
    /// Launches of a play.
    pub(super) launches: usize,
    /// What tokens choose, layer by layer of those that have experts.
    pub(super) choices: Vec<Choices>,
    forward: Making<Forward>,
    greedy: Making<Plan>,
    sample: Making<Plan>,
}

/// Something that is made once, by the first who waits for it.
type Making<T> = Shared<LocalBoxFuture<'static, Result<Rc<T>>>>;

impl Rig {
    /// What a session on `model` needs, its cache empty. It is to be made [`Rig::ready`].
    pub(super) fn new(model: &Model) -> Result<Self> {
        let (device, spec) = (model.device.as_ref(), &model.spec);
        let cache = Cache::new(device, spec, model.context, model.cache)?;
        let choice = Choice::new(device, spec.vocab)?;
        let rings = spec.layers.iter().any(|layer| matches!(layer.attention, Attention::Conv(_)));
        // Where a play is done when it returns, chunks do not wait for each other: rings hold a longer one.
        let limits = device.limits();
        let most = if rings && limits.ahead > 1 { CHUNK } else { limits.chunk };
        let chunk = model.chunk(most.min(model.context));
        let prefill = Steps::new(model, &cache, chunk, Logits::Last)?;
        let decode = Steps::new(model, &cache, 1, Logits::Last)?;
        let first = choice.steps(&cache, &prefill, &decode);
        let next = choice.steps(&cache, &decode, &decode);
        // Told of everything at once, in the order in which a request will want it.
        let [greedy, sample] = first.each_ref().map(std::slice::from_ref);
        let wanted = [&prefill.body, &prefill.head, greedy, &decode.body, &decode.head, sample];
        let beside = wanted.map(|steps| device.begin(steps)).contains(&true);
        let (prefill, decode) = (Part::new(model, prefill, first), Part::new(model, decode, next));
        Ok(Rig { cache, prefill, decode, choice, beside })
    }

    /// Until all of it is made.
    pub(super) fn ready(&self) -> impl Future<Output = Result<()>> + use<> {
        let [prefill, decode] =
            [&self.prefill, &self.decode].map(|p| (p.forward.clone(), p.greedy.clone(), p.sample.clone()));
        async move {
            try_join(prefill.0, prefill.1).await?;
            try_join(decode.0, decode.1).await?;
            try_join(prefill.2, decode.2).await?;
            Ok(())
        }
    }

    /// Makes it ready while `work` is done. A device that does so beside other work may go on when that is done.
    pub(super) async fn beside(&self, work: impl Future<Output = Result<()>>) -> Result<()> {
        if !self.beside {
            return try_join(work, self.ready()).await.map(drop);
        }
        match select(pin!(work), pin!(self.ready())).await {
            Either::Left((done, _)) => done,
            Either::Right((ready, work)) => {
                ready?;
                work.await
            }
        }
    }
}

impl Part {
    fn new(model: &Model, steps: Steps, [greedy, sample]: [Step; 2]) -> Self {
        let (chunk, choices, launches) = (steps.chunk, steps.choices.clone(), steps.body.len() + steps.head.len());
        let device = model.device.clone();
        let forward = async move { steps.compile(device.as_ref()).await.map(Rc::new) };
        let [greedy, sample] = [greedy, sample].map(|step| plan(model.device.clone(), step).boxed_local().shared());
        Part { chunk, launches, choices, forward: forward.boxed_local().shared(), greedy, sample }
    }

    /// The pass, for a request.
    pub(super) async fn forward(&self) -> Result<Rc<Forward>> {
        self.forward.clone().await.map_err(lost)
    }

    /// The choice after it.
    pub(super) async fn choice(&self, greedy: bool) -> Result<Rc<Plan>> {
        if greedy { &self.greedy } else { &self.sample }.clone().await.map_err(lost)
    }
}

async fn plan(device: Rc<dyn Device>, step: Step) -> Result<Rc<Plan>> {
    device.compile(vec![step]).await.map(Rc::new)
}

/// What a device that could not be made ready is to a request that finds it so: lost.
fn lost(error: Error) -> Error {
    match error {
        Error::Device(reason) => Error::Lost(reason),
        Error::Memory { .. } | Error::Limit { .. } => Error::Lost(error.to_string()),
        other => other,
    }
}
