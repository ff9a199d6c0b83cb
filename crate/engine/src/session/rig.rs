//! What a session has on its model's device, made anew where that one is lost.

use crate::error::Result;
use crate::model::{Cache, Forward, Logits, Model};
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
        let cache = Cache::new(device, spec, model.context)?;
        let choice = Choice::new(device, spec.vocab)?;
        let chunk = CHUNK.min(model.context);
        let prefill = Forward::compile(model, &cache, chunk, Logits::Last).await?;
        let decode = Forward::compile(model, &cache, 1, Logits::Last).await?;
        let first = choice.chooser(device, &cache, &prefill, &decode).await?;
        let next = choice.chooser(device, &cache, &decode, &decode).await?;
        Ok(Rig { cache, prefill: (prefill, first), decode: (decode, next), choice })
    }
}
