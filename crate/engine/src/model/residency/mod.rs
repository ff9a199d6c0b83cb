//! Experts that come to a device as they are needed: which are there, and how the others are brought.

mod hold;
mod routes;
mod slots;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::stream::{self, StreamExt};

use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::stages;
use crate::model::{Experts, Progress, Stage};
use crate::weights::{Group, Tensors};
use hold::{Hold, Holds};
pub use routes::{Heat, Routes};
use slots::Slots;

/// Records that are fetched at once.
const LINES: usize = 4;

/// A future behind a pointer.
pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// How much room routed experts get on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Room {
    /// Enough for all of them.
    #[default]
    All,
    /// Enough for this share of each layer's.
    Share(f64),
    /// So many bytes, shared experts included.
    Bytes(u64),
}

impl Room {
    /// Slots of a layer's pool, where all experts of all layers together have `all` bytes.
    pub(super) fn slots(self, group: &Group, all: u64) -> usize {
        let some = match self {
            Room::All => group.all(),
            Room::Share(share) => (group.count as f64 * share.clamp(0.0, 1.0)).round() as usize + group.shared,
            Room::Bytes(bytes) => (group.all() as f64 * (bytes as f64 / all.max(1) as f64).min(1.0)) as usize,
        };
        // All that a token has must be there at once.
        some.max(group.at_work())
    }
}

/// How often experts were wanted, and what that took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Routed experts that tokens, or chunks of a prompt, wanted.
    pub wanted: u64,
    /// Those of them that were not on the device.
    pub missed: u64,
    /// Bytes of records that were fetched, for whatever reason.
    pub fetched: u64,
}

/// The experts of a model some of which are on its device. What a token wants is brought before it is computed, so that
/// nothing is ever computed without.
pub struct Residency {
    tensors: Rc<Tensors<'static>>,
    device: Rc<dyn Device>,
    pools: Vec<Pool>,
    counts: Cell<Counts>,
    /// While something is held, what nobody waits for is not fetched.
    holds: Holds,
    /// What tokens chose, while that is watched.
    watched: RefCell<Option<Routes>>,
    /// How passes are prepared.
    pub(super) stage: stages::Stage,
}

/// A layer's experts.
struct Pool {
    group: Group,
    experts: Experts,
    slots: RefCell<Slots>,
}

impl Residency {
    /// Those of `layers`, none of which is there yet.
    pub(super) fn new(
        tensors: Rc<Tensors<'static>>,
        device: Rc<dyn Device>,
        layers: impl IntoIterator<Item = (Group, Experts)>,
    ) -> Self {
        let pool = |(group, experts): (Group, Experts)| {
            let slots = (experts.pool.bytes() / experts.layout.bytes()) as usize;
            Pool { slots: RefCell::new(Slots::new(group.all(), group.count, slots)), group, experts }
        };
        let pools = layers.into_iter().map(pool).collect();
        Residency {
            stage: stages::stage,
            tensors,
            device,
            pools,
            counts: Cell::default(),
            holds: Holds::default(),
            watched: RefCell::default(),
        }
    }

    /// Whether all experts are on the device, where they stay, and nobody watches what is chosen.
    #[must_use]
    pub fn whole(&self) -> bool {
        self.watched.borrow().is_none() && self.pools.iter().all(|pool| pool.slots.borrow().full())
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    /// Notes from now on what tokens choose.
    pub(crate) fn watch(&self) {
        let layer = |pool: &Pool| (pool.group.clone(), pool.experts.layout.bytes());
        *self.watched.borrow_mut() = Some(Routes::new(self.pools.iter().map(layer)));
    }

    /// What they chose since.
    pub(crate) fn watched(&self) -> Option<Routes> {
        self.watched.take()
    }

    /// Tells what tokens chose in a layer, for whoever watches.
    pub(super) fn chose(&self, layer: usize, pairs: &[u32]) {
        if let Some(routes) = &mut *self.watched.borrow_mut() {
            routes.add(layer, pairs.iter().step_by(2).copied());
        }
    }

    /// Brings the experts that every token has.
    pub(super) async fn shared(&self) -> Result<()> {
        for (layer, pool) in self.pools.iter().enumerate() {
            self.need(layer, &(pool.group.count..pool.group.all()).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    /// Brings experts while there are empty slots, those that texts want most first. What a token waits for goes before
    /// them; so it may run beside all else, and may be dropped and begun again at any time.
    pub async fn fill(&self, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let bytes = |pool: &Pool| pool.experts.layout.bytes();
        let total: u64 = self.pools.iter().map(|pool| pool.experts.pool.bytes()).sum();
        let mut left = self.order().into_iter();
        let next = || left.find(|(layer, expert)| self.lacks(*layer, *expert));
        // Asked one by one, as lines become free: by then a token may have brought the next.
        let bring = async |(layer, expert): (usize, usize)| {
            self.holds.none().await;
            if self.lacks(layer, expert) {
                self.bring(layer, expert, &[]).await?;
            }
            Ok(bytes(&self.pools[layer]))
        };
        let mut done = total - self.pools.iter().map(|p| bytes(p) * p.slots.borrow().empties() as u64).sum::<u64>();
        let mut coming = stream::iter(std::iter::from_fn(next)).map(bring).buffer_unordered(LINES);
        while let Some(bytes) = coming.next().await {
            done += bytes?;
            progress(Progress { stage: Stage::Experts, done: done.min(total), total });
        }
        Ok(())
    }

    /// Keeps what nobody waits for from being fetched while it lives.
    pub(crate) fn hold(&self) -> Hold<'_> {
        self.holds.hold()
    }

    /// Experts by layer and number, those that texts want most first.
    fn order(&self) -> Vec<(usize, usize)> {
        let of = |layer: usize| (0..self.pools[layer].group.count).map(move |expert| (layer, expert));
        let mut order: Vec<_> = (0..self.pools.len()).flat_map(of).collect();
        let heat = |layer: usize, expert: usize| {
            let table = self.tensors.index.experts.get(&self.pools[layer].group.prefix)?;
            table.heat.get(expert).copied()
        };
        order.sort_by_key(|(layer, expert)| Reverse(heat(*layer, *expert)));
        order
    }

    /// Whether an expert is not there, and a slot is.
    fn lacks(&self, layer: usize, expert: usize) -> bool {
        let slots = self.pools[layer].slots.borrow();
        !slots.has(expert) && slots.empty()
    }

    /// Cuts what a layer's tokens want into passes whose experts fit the device together: first of those that are there.
    pub(super) fn passes(&self, layer: usize, mut wanted: Vec<usize>) -> Vec<Vec<usize>> {
        let pool = &self.pools[layer];
        let slots = pool.slots.borrow();
        wanted.sort_by_key(|e| (*e < pool.group.count, !slots.has(*e), *e));
        let shared = wanted.iter().take_while(|e| **e >= pool.group.count).count();
        let first = wanted.len().min(shared + slots.spare());
        let rest = wanted.split_off(first);
        std::iter::once(wanted).chain(rest.chunks(slots.spare()).map(<[usize]>::to_vec)).collect()
    }

    /// Sees to it that these experts of a layer, which fit, are on the device.
    pub(super) async fn need(&self, layer: usize, wanted: &[usize]) -> Result<()> {
        let missing = self.missing(layer, wanted);
        self.note(layer, wanted, &missing);
        self.bring_all(&missing.iter().map(|e| (layer, *e, wanted)).collect::<Vec<_>>()).await
    }

    /// Those of a layer's experts that are not on the device.
    pub(super) fn missing(&self, layer: usize, wanted: &[usize]) -> Vec<usize> {
        let slots = self.pools[layer].slots.borrow();
        wanted.iter().copied().filter(|e| !slots.has(*e)).collect()
    }

    /// Notes that a layer wants these, some of which were missing.
    pub(super) fn note(&self, layer: usize, wanted: &[usize], missing: &[usize]) {
        let pool = &self.pools[layer];
        pool.slots.borrow_mut().touch(wanted);
        let routed = |experts: &[usize]| experts.iter().filter(|e| **e < pool.group.count).count() as u64;
        self.count(|counts| {
            counts.wanted += routed(wanted);
            counts.missed += routed(missing);
        });
    }

    /// Brings experts, each of a layer and beside those that the layer wants.
    pub(super) async fn bring_all(&self, missing: &[(usize, usize, &[usize])]) -> Result<()> {
        if missing.is_empty() {
            return Ok(());
        }
        let _hold = self.hold();
        let each = missing.iter().map(|(layer, expert, wanted)| self.bring(*layer, *expert, wanted));
        let mut coming = stream::iter(each).buffer_unordered(LINES);
        while let Some(done) = coming.next().await {
            done?;
        }
        Ok(())
    }

    /// Fetches an expert and gives it a slot, though of none of those in `wanted`.
    async fn bring(&self, layer: usize, expert: usize, wanted: &[usize]) -> Result<()> {
        let Pool { group, experts, slots } = &self.pools[layer];
        let bytes = experts.layout.bytes();
        let record = self.tensors.record(group, expert, &experts.layout, &mut |_| {}).await?;
        self.count(|counts| counts.fetched += bytes);
        let mut slots = slots.borrow_mut();
        // It, or what took the last empty slot, may have come on another line meanwhile.
        if slots.has(expert) || wanted.is_empty() && !slots.empty() {
            return Ok(());
        }
        let (value, limit) = (wanted.len() as u64, slots.spare() as u64);
        let full = || Error::Limit { what: format!("experts of {} at once", group.prefix), value, limit };
        let slot = slots.place(expert, wanted).ok_or_else(full)?;
        self.device.write(&experts.pool, bytes * u64::from(slot), &record)?;
        self.device.write(&experts.slots, 4 * expert as u64, bytemuck::bytes_of(&slot))
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }
}
