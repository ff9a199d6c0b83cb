//! What a session has on its model's device, made anew where that one is lost.

use futures_util::future::try_join;

use crate::error::Result;
use crate::model::{Attention, Cache, Forward, Logits, Model, Steps};
use crate::session::choose::{Choice, Chooser};
use crate::session::kept::CHUNK;

/// The cache, the forward passes with the choice after each, and what choices share.
pub(super) struct Rig {
    pub(super) cache: Cache,
    /// For chunks of a prompt.
    pub(super) prefill: (Forward, Chooser),
    /// For a token.
    pub(super) decode: (Forward, Chooser),
    pub(super) choice: Choice,
}

impl Rig {
    /// What a session on `model` needs, its cache empty.
    pub(super) async fn new(model: &Model) -> Result<Self> {
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
        let first = choice.chooser(device, &cache, &prefill, &decode);
        let next = choice.chooser(device, &cache, &decode, &decode);
        // Together, so that a device that compiles beside other work is told of everything at once.
        let choosers = try_join(first, next);
        let forwards = try_join(prefill.compile(device), decode.compile(device));
        let ((prefill, decode), (first, next)) = try_join(forwards, choosers).await?;
        Ok(Rig { cache, prefill: (prefill, first), decode: (decode, next), choice })
    }
}
