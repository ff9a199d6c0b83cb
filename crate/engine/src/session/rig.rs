//! What a session has on its model's device, made anew where that one is lost.

use futures_util::future::try_join;

use crate::error::Result;
use crate::model::{Cache, Forward, Logits, Model, Steps};
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
        // Where a play is done when it returns, chunks do not wait for each other, and more tokens have more of an expert in common.
        let chunk = if device.limits().ahead > 1 { CHUNK } else { 2 * CHUNK };
        let chunk = model.chunk(chunk.min(model.context));
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
