//! Experts that come to a device as they are needed: which are there, and how the others are brought.

mod foresight;
mod hold;
mod routes;
mod slots;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::{try_join, try_join4};

use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::stages;
use crate::model::{Experts, Progress, Stage};
use crate::source::Source;
use crate::weights::{Group, Tensors};
use foresight::Coming;
use hold::{Hold, Holds};
pub use routes::{Heat, Routes};
use slots::Slots;

/// Bytes up to which twice as many records are fetched at once.
const SMALL: u64 = 512 << 10;

/// How often texts want an expert, its layer and its number.
type Left = (Option<u64>, Reverse<(usize, usize)>);

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
    /// Experts that were fetched for a chunk of a prompt before it chose, and that it did not choose.
    pub vain: u64,
}

/// The experts of a model some of which are on its device. What a token wants is brought before it is computed, so that
/// nothing is ever computed without.
pub struct Residency {
    tensors: Rc<Tensors<'static>>,
    device: Rc<dyn Device>,
    pools: Rc<[Pool]>,
    /// Experts on their way that layers will want, as it seems.
    coming: RefCell<Vec<Coming>>,
    /// A layer, and those of it that a chunk of a prompt is thought to want.
    expected: RefCell<(usize, Vec<usize>)>,
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
    /// How many tokens chose each of the routed ones.
    uses: RefCell<Vec<u32>>,
}

impl Pool {
    /// An expert's record, from the files.
    async fn record(&self, tensors: &Tensors<'_>, expert: usize) -> Result<Vec<u8>> {
        tensors.record(&self.group, expert, &self.experts.layout, &mut |_| {}).await
    }

    /// Where that is in a pack's files.
    fn place(&self, tensors: &Tensors<'_>, expert: usize) -> Option<(Rc<str>, Range<u64>)> {
        let at = tensors.index.record(&self.group.prefix, expert)?;
        Some((at.file, at.offset..at.offset + self.experts.layout.bytes()))
    }
}

/// What is known of the routed experts of a model: row after row, of a layer each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// Layers that have experts.
    pub layers: usize,
    /// Experts of a layer.
    pub experts: usize,
    /// Those of them that a token chooses.
    pub active: usize,
    /// Which are on the device.
    pub there: Vec<bool>,
    /// How many tokens chose each: of those that were played while not all experts were there, or whose routes were asked for.
    pub uses: Vec<u32>,
}

impl Residency {
    /// Those of `layers`, none of which is there yet.
    pub(super) fn new(
        tensors: Rc<Tensors<'static>>,
        device: Rc<dyn Device>,
        layers: impl IntoIterator<Item = (Group, Experts)>,
    ) -> Self {
        let pool = |(group, experts): (Group, Experts)| {
            let slots = experts.held;
            let uses = RefCell::new(vec![0; group.count]);
            Pool { slots: RefCell::new(Slots::new(group.all(), group.count, slots)), uses, group, experts }
        };
        let pools = layers.into_iter().map(pool).collect();
        let files = tensors.clone();
        let residency = Residency {
            stage: stages::stage,
            tensors,
            device,
            pools,
            coming: RefCell::default(),
            expected: RefCell::default(),
            counts: Cell::default(),
            holds: Holds::new(Box::new(move |held| files.files.press(held))),
            watched: RefCell::default(),
        };
        residency.tensors.files.expect(false, &residency.everyones());
        residency
    }

    /// Whether all experts are on the device, where they stay, and nobody watches what is chosen.
    #[must_use]
    pub fn whole(&self) -> bool {
        self.watched.borrow().is_none() && self.pools.iter().all(|pool| pool.slots.borrow().full())
    }

    /// Whether as many experts are there as find room.
    #[must_use]
    pub fn filled(&self) -> bool {
        self.pools.iter().all(|pool| pool.slots.borrow().full() || !pool.slots.borrow().empty())
    }

    /// Which experts are there, and how often they were wanted.
    #[must_use]
    pub fn map(&self) -> Map {
        let most = |of: fn(&Group) -> usize| self.pools.iter().map(|pool| of(&pool.group)).max().unwrap_or(0);
        let (experts, active) = (most(|group| group.count), most(|group| group.chosen));
        let mut map = Map { layers: self.pools.len(), experts, active, ..Map::default() };
        for Pool { group, slots, uses, .. } in self.pools.iter() {
            let slots = slots.borrow();
            map.there.extend((0..experts).map(|e| e < group.count && slots.has(e)));
            map.uses.extend((0..experts).map(|e| uses.borrow().get(e).copied().unwrap_or(0)));
        }
        map
    }

    /// Where routed experts are in the files, in the order of [`Residency::map`]: the file, where it starts and where it ends; nothing of
    /// what is no expert, or is not in one piece, as in a pack.
    #[must_use]
    pub fn records(&self) -> Vec<Option<(Rc<str>, Range<u64>)>> {
        let experts = self.map().experts;
        let place = |pool: &Pool, expert| pool.place(&self.tensors, expert).filter(|_| expert < pool.group.count);
        self.pools.iter().flat_map(|pool| (0..experts).map(move |expert| place(pool, expert))).collect()
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

    /// Tells what tokens chose in a layer, for whoever asks or watches.
    pub(crate) fn chose(&self, layer: usize, pairs: &[u32]) {
        let mut uses = self.pools[layer].uses.borrow_mut();
        for expert in pairs.iter().step_by(2) {
            if let Some(uses) = uses.get_mut(*expert as usize) {
                *uses = uses.saturating_add(1);
            }
        }
        if let Some(routes) = &mut *self.watched.borrow_mut() {
            routes.add(layer, pairs.iter().step_by(2).copied());
        }
    }

    /// Tells what they would have chosen some steps before.
    pub(super) fn guessed(&self, layer: usize, pairs: &[u32]) {
        if let Some(routes) = &mut *self.watched.borrow_mut() {
            routes.guess(layer, pairs.iter().step_by(2).copied());
        }
    }

    /// Where the experts that every token has are in the files, in the order of use.
    fn everyones(&self) -> Vec<(String, Range<u64>)> {
        let shared = |pool: &Pool| pool.group.count..pool.group.all();
        let places = self.pools.iter().flat_map(|pool| shared(pool).filter_map(|e| pool.place(&self.tensors, e)));
        places.map(|(file, at)| (file.to_string(), at)).collect()
    }

    /// Brings the experts that every token has.
    async fn shared(&self) -> Result<()> {
        let shared = |pool: &Pool| (pool.group.count..pool.group.all()).collect::<Vec<_>>();
        let shared: Vec<_> = self.pools.iter().enumerate().map(|(i, pool)| self.missing(i, &shared(pool))).collect();
        let all = shared.iter().enumerate().flat_map(|(layer, of)| of.iter().map(move |e| (layer, *e, of.as_slice())));
        self.bring_all(&all.collect::<Vec<_>>()).await
    }

    /// Brings experts while there are empty slots, those that texts want most first. What a token waits for goes before
    /// them; so it may run beside all else, and may be dropped and begun again at any time.
    pub async fn fill(&self, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        // From here on nobody waits for a read, unless a token does.
        drop(self.hold());
        self.holds.none().await;
        // Where all find room, in whatever runs the source likes: who waits for one goes first all the same.
        if self.pools.iter().all(|pool| pool.slots.borrow().room()) {
            self.tensors.files.expect(true, &[]);
        }
        self.shared().await?;
        let bytes = |pool: &Pool| pool.experts.layout.bytes();
        let total: u64 = self.pools.iter().map(|pool| bytes(pool) * pool.experts.held as u64).sum();
        let empty: u64 = self.pools.iter().map(|pool| bytes(pool) * pool.slots.borrow().empties() as u64).sum();
        let left = RefCell::new(self.left());
        let told = RefCell::new((total - empty, progress));
        // Asked one by one, as lines become free: by then a token may have brought the next.
        let line = async || {
            loop {
                self.holds.none().await;
                let Some((_, Reverse((layer, expert)))) = left.borrow_mut().pop() else { return Ok(()) };
                if self.lacks(layer, expert) {
                    self.bring(layer, expert, &[]).await?;
                    let (done, progress) = &mut *told.borrow_mut();
                    *done += bytes(&self.pools[layer]);
                    progress(Progress { stage: Stage::Experts, done: total.min(*done), total });
                }
            }
        };
        abreast(line).await
    }

    /// Keeps what nobody waits for from being fetched while it lives.
    pub(crate) fn hold(&self) -> Hold<'_> {
        self.holds.hold()
    }

    /// Experts that are not there, by layer and number: the hottest first, then by place.
    fn left(&self) -> BinaryHeap<Left> {
        let mut left = BinaryHeap::new();
        for (layer, Pool { group, .. }) in self.pools.iter().enumerate() {
            let heat =
                self.tensors.index.experts.get(&group.prefix).map(|table| table.heat.as_slice()).unwrap_or_default();
            let lacking = (0..group.count).filter(|expert| self.lacks(layer, *expert));
            left.extend(lacking.map(|expert| (heat.get(expert).copied(), Reverse((layer, expert)))));
        }
        left
    }

    /// Whether an expert is not there, and a slot is.
    fn lacks(&self, layer: usize, expert: usize) -> bool {
        let slots = self.pools[layer].slots.borrow();
        !slots.has(expert) && slots.empty()
    }

    /// Cuts what a layer's tokens want into passes whose experts fit the device together: first of those that are there.
    pub(super) fn passes(&self, layer: usize, wanted: Vec<usize>) -> Vec<Vec<usize>> {
        let pool = &self.pools[layer];
        let slots = pool.slots.borrow();
        let (routed, mut first): (Vec<usize>, Vec<_>) = wanted.into_iter().partition(|e| *e < pool.group.count);
        let (there, absent): (Vec<usize>, Vec<_>) = routed.into_iter().partition(|e| slots.has(*e));
        let mut rest = [there, absent].concat().into_iter();
        first.extend(rest.by_ref().take(slots.spare()));
        std::iter::once(first).chain(rest.as_slice().chunks(slots.spare()).map(<[usize]>::to_vec)).collect()
    }

    /// Sees to it that these experts of a layer, which fit, are on the device.
    pub(super) async fn need(&self, layer: usize, wanted: &[usize]) -> Result<()> {
        self.settle(layer, wanted)?;
        self.judge(layer, wanted);
        let missing = self.missing(layer, wanted);
        self.note(layer, wanted, &missing);
        self.bring_all(&missing.iter().map(|e| (layer, *e, wanted)).collect::<Vec<_>>()).await?;
        self.overlook(layer);
        Ok(())
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
        let left = RefCell::new(missing.iter());
        let line = async || {
            loop {
                let next = left.borrow_mut().next();
                let Some((layer, expert, wanted)) = next else { return Ok(()) };
                self.bring(*layer, *expert, wanted).await?;
            }
        };
        // All that a host is asked for at once, before what is foreseen is.
        match missing.iter().all(|(layer, ..)| self.pools[*layer].experts.layout.bytes() <= SMALL) {
            true => try_join(abreast(&line), abreast(&line)).await.map(|_| ()),
            false => abreast(line).await,
        }
    }

    /// Fetches an expert and gives it a slot, though of none of those in `wanted`.
    fn bring<'a>(&'a self, layer: usize, expert: usize, wanted: &'a [usize]) -> Boxed<'a, ()> {
        Box::pin(self.brought(layer, expert, wanted))
    }

    async fn brought(&self, layer: usize, expert: usize, wanted: &[usize]) -> Result<()> {
        let record = match self.awaited(layer, expert).await {
            Some(record) => record,
            None => self.pools[layer].record(&self.tensors, expert).await?,
        };
        self.put(layer, expert, wanted, &record)
    }

    /// Gives an expert a slot.
    fn put(&self, layer: usize, expert: usize, wanted: &[usize], record: &[u8]) -> Result<()> {
        let Pool { group, experts, slots, .. } = &self.pools[layer];
        self.count(|counts| counts.fetched += experts.layout.bytes());
        let mut slots = slots.borrow_mut();
        // It, or what took the last empty slot, may have come on another line meanwhile.
        if slots.has(expert) || wanted.is_empty() && !slots.empty() {
            return Ok(());
        }
        let (value, limit) = (wanted.len() as u64, slots.spare() as u64);
        let full = || Error::Limit { what: format!("experts of {} at once", group.prefix), value, limit };
        let slot = slots.place(expert, wanted).ok_or_else(full)?;
        experts.put(self.device.as_ref(), group, slot as usize, record)?;
        self.device.write(&experts.slots, 4 * expert as u64, bytemuck::bytes_of(&slot))
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }
}

/// Works on as many lines as records are fetched on at once.
async fn abreast(line: impl AsyncFn() -> Result<()>) -> Result<()> {
    try_join4(line(), line(), line(), line()).await.map(|_| ())
}
