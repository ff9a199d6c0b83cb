//! Where a model comes from and where it runs: what it takes to load it, and to load it again when its GPU was lost.

use std::cell::RefCell;
use std::future::Future;
use std::ops::Range;
use std::rc::Rc;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, abortable};
use gloo_timers::future::TimeoutFuture;
use js_sys::Function;
use moebius_engine::format::Format;
use moebius_engine::model::{LoadOptions, Residency, Room};
use moebius_engine::session::{Recover, Session};
use moebius_engine::{Error, Result};
use serde_json::json;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;

use crate::origin::Origin;
use crate::place::{Place, reason};
use crate::threads::Crew;

/// Milliseconds after which experts come unasked: who asks at once waits for nothing but what is asked for.
const GRACE: u32 = 1_000;
/// Milliseconds between attempts to have them come, the first and the longest.
const PAUSES: Range<u32> = 1_000..60_000;

/// A model's place, and the device that is wanted for it.
pub(crate) struct Home {
    pub(crate) origin: Rc<Origin>,
    /// `auto`, `gpu` or `cpu`.
    pub(crate) choice: String,
    /// Tokens of context.
    pub(crate) context: Option<usize>,
    /// What keys and values are kept in.
    pub(crate) cache: Option<Format>,
    /// Whether the model answers before all its experts are there.
    pub(crate) stream: bool,
    /// Bytes that experts may take on the device; all that there are by default.
    pub(crate) budget: Option<u64>,
    /// Called when all experts are there that find room.
    pub(crate) onfilled: Function,
    /// The CPU's threads.
    pub(crate) crew: Crew,
    /// Called with the device, as JSON, when the model was loaded again (then with `true`), or something is done another way there.
    pub(crate) onmoved: Function,
    /// Where it runs now.
    pub(crate) place: RefCell<Option<Place>>,
    /// Its experts, and what stops their coming.
    pub(crate) experts: RefCell<Option<(Rc<Residency>, AbortHandle)>>,
}

impl Home {
    /// A session on the model. Where the choice is left to the engine and the GPU fails at it, the CPU takes over; so it does where
    /// something is too large, of which the GPU's limits may be the reason. After a loss the new device is made ready first: what
    /// it is not good for is known then.
    pub(crate) async fn open(&self, lost: Option<&Error>) -> Result<Session> {
        let mut place = Place::choose(&self.choice, &self.crew).await?;
        let session = loop {
            match self.session_on(&place, lost.is_some()).await {
                Err(error @ (Error::Memory { .. } | Error::Limit { .. } | Error::Device(_) | Error::Lost(_)))
                    if self.choice == "auto" && place.why.is_empty() =>
                {
                    place = Place::cpu(format!("the GPU failed: {}", reason(error)), &self.crew).await;
                }
                done => break done?,
            }
        };
        if let Some(lost) = lost.filter(|_| !place.why.is_empty()) {
            place.why = format!("{lost}; {}", place.why);
        }
        self.place.replace(Some(place));
        Ok(session)
    }

    /// `Device` of `www/protocol.js`, as JSON.
    pub(crate) fn device(&self) -> String {
        let place = self.place.borrow();
        let json = |Place { device, name, why }: &Place| {
            json!({"kind": device.kind(), "name": name, "why": why, "fallbacks": device.fallbacks()}).to_string()
        };
        place.as_ref().map(json).unwrap_or_default()
    }

    /// Waits until a device is `ready`, and tells the page of what it does another way since `told`. What it is not good for at all is
    /// the affair of the request that wants it.
    pub(crate) async fn watch(self: Rc<Self>, told: String, ready: impl Future<Output = Result<()>>) {
        if ready.await.is_ok() && self.device() != told {
            self.tell(false);
        }
    }

    /// Tells the page where it runs, and whether that is because a GPU was lost.
    fn tell(&self, lost: bool) {
        // A page that throws on being told is its own affair.
        let _ = self.onmoved.call2(&JsValue::NULL, &self.device().into(), &lost.into());
    }

    async fn session_on(&self, place: &Place, ready: bool) -> Result<Session> {
        self.forget();
        self.streamed(place, ready).await.map_err(|error| self.origin.explain(error))
    }

    async fn streamed(&self, place: &Place, ready: bool) -> Result<Session> {
        self.origin.loads(true);
        let options = LoadOptions { precision: self.origin.precision, context: self.context, cache: self.cache };
        let room = self.budget.map_or(Room::All, Room::Bytes);
        let session =
            Session::stream(self.origin.clone(), Rc::clone(&place.device), &options, room, &mut |_| {}).await?;
        if ready {
            session.ready().await?;
        }
        if let Some(residency) = &session.model.residency {
            if !self.stream {
                residency.fill(&mut |_| {}).await?;
            }
            let (task, handle) = abortable(fill(residency.clone(), self.onfilled.clone()));
            spawn_local(task.map(|_| ()));
            self.experts.replace(Some((residency.clone(), handle)));
        }
        self.origin.loads(false);
        Ok(session)
    }

    /// Has no more experts come to a device that is given up.
    fn forget(&self) {
        if let Some((_, handle)) = self.experts.take() {
            handle.abort();
        }
    }
}

/// Brings the experts that nobody waits for, beside all else. Where the host fails, again and again.
async fn fill(residency: Rc<Residency>, onfilled: Function) {
    if !residency.filled() {
        TimeoutFuture::new(GRACE).await;
    }
    let mut pause = PAUSES.start;
    loop {
        match residency.fill(&mut |_| {}).await {
            Ok(()) => break,
            Err(Error::File { .. }) => TimeoutFuture::new(pause).await,
            // What is wrong with the model, or the device, is told to the token that wants what did not come.
            Err(_) => return,
        }
        pause = (2 * pause).min(PAUSES.end);
    }
    // A page that throws on being told is its own affair.
    let _ = onfilled.call0(&JsValue::NULL);
}

#[async_trait(?Send)]
impl Recover for Home {
    async fn session(&self, lost: &Error) -> Result<Session> {
        let session = self.open(Some(lost)).await?;
        self.tell(true);
        Ok(session)
    }
}
