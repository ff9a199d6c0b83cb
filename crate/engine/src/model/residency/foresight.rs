//! Experts that are brought before a layer wants them, since it would choose them by what is known while earlier layers work.

use futures_util::FutureExt;

use crate::error::Result;
use crate::model::Residency;
use crate::model::residency::Boxed;

/// Of so many experts that are wanted, one may be fetched in vain for a prompt.
const VAIN: u64 = 128;

/// Most bytes of experts that are on their way to a layer which has not chosen yet.
const AHEAD: u64 = 8 << 20;

/// One on its way.
pub(super) struct Coming {
    layer: usize,
    expert: usize,
    record: Boxed<'static, Vec<u8>>,
}

impl Residency {
    /// Has these of a layer come. Who is used least makes room for what a token wants; nobody else does.
    pub(in crate::model) fn foresee(&self, layer: usize, experts: &[usize], token: bool) -> Result<()> {
        // What a first word waits for is to be little more than what it touches.
        let counts = self.counts();
        if !token && (!self.pools[layer].slots.borrow().empty() || VAIN * counts.vain > counts.wanted) {
            return Ok(());
        }
        let mut missing = self.missing(layer, experts);
        if !token {
            missing.truncate((AHEAD / self.pools[layer].experts.layout.bytes().max(1)) as usize);
            self.expected.replace((layer, missing.clone()));
        }
        for expert in missing {
            let mut coming = self.coming.borrow_mut();
            if !coming.iter().any(|c| (c.layer, c.expert) == (layer, expert)) {
                let (tensors, pools) = (self.tensors.clone(), self.pools.clone());
                let record = Box::pin(async move { pools[layer].record(&tensors, expert).await });
                coming.push(Coming { layer, expert, record });
            }
        }
        self.settle(layer, if token { experts } else { &[] })
    }

    /// Gives slots to what came of a layer: where those are all taken, to what is in `kept` alone.
    pub(super) fn settle(&self, layer: usize, kept: &[usize]) -> Result<()> {
        let mut came = Vec::new();
        self.coming.borrow_mut().retain_mut(|coming| {
            // Whoever waits for it asks again: what fails here is nobody's error.
            let record = if coming.layer == layer { (&mut coming.record).now_or_never() } else { None };
            let waits = record.is_none();
            came.extend(record.and_then(Result::ok).map(|record| (coming.expert, record)));
            waits
        });
        for (expert, record) in came {
            let kept = if kept.contains(&expert) { kept } else { &[] };
            self.put(layer, expert, kept, &record)?;
        }
        Ok(())
    }

    /// One that is on its way, when it is there; none where it is not, or does not come.
    pub(super) async fn awaited(&self, layer: usize, expert: usize) -> Option<Vec<u8>> {
        let at = self.coming.borrow().iter().position(|c| (c.layer, c.expert) == (layer, expert))?;
        let coming = self.coming.borrow_mut().swap_remove(at);
        coming.record.await.ok()
    }

    /// Counts what was expected of a layer in vain, now that it wants these.
    pub(super) fn judge(&self, layer: usize, wanted: &[usize]) {
        let mut expected = self.expected.borrow_mut();
        if expected.0 != layer {
            return;
        }
        let vain = expected.1.drain(..).filter(|expert| !wanted.contains(expert)).count() as u64;
        self.count(|counts| counts.vain += vain);
    }

    /// Thinks no more of what is on its way to a layer.
    pub(super) fn overlook(&self, layer: usize) {
        self.coming.borrow_mut().retain(|coming| coming.layer != layer);
    }
}
