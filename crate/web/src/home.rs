//! Where a model comes from and where it runs: what it takes to load it, and to load it again when its GPU was lost.

use std::cell::RefCell;
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
    /// Called with the device, as JSON, when the model was loaded again.
    pub(crate) onmoved: Function,
    /// `Device` of `www/protocol.js`, as JSON.
    pub(crate) device: RefCell<String>,
    /// Its experts, and what stops their coming.
    pub(crate) experts: RefCell<Option<(Rc<Residency>, AbortHandle)>>,
}

impl Home {
    /// A session on the model. Where the choice is left to the engine and the GPU fails at it, the CPU takes over.
    pub(crate) async fn open(&self, lost: Option<&Error>) -> Result<Session> {
        let mut place = Place::choose(&self.choice, &self.crew).await?;
        let session = loop {
            match self.session_on(&place).await {
                Err(error @ (Error::Memory { .. } | Error::Device(_) | Error::Lost(_)))
                    if self.choice == "auto" && place.why.is_empty() =>
                {
                    place = Place::cpu(format!("the GPU failed: {}", reason(error)), &self.crew).await;
                }
                done => break done?,
            }
        };
        let why = match lost {
            Some(lost) if !place.why.is_empty() => format!("{lost}; {}", place.why),
            _ => place.why,
        };
        let (kind, name, fallbacks) = (place.device.kind(), place.name, place.device.fallbacks());
        self.device.replace(json!({"kind": kind, "name": name, "why": why, "fallbacks": fallbacks}).to_string());
        Ok(session)
    }

    async fn session_on(&self, place: &Place) -> Result<Session> {
        self.forget();
        self.streamed(place).await.map_err(|error| self.origin.explain(error))
    }

    async fn streamed(&self, place: &Place) -> Result<Session> {
        self.origin.loads(true);
        let options = LoadOptions { precision: self.origin.precision, context: self.context, cache: self.cache };
        let room = self.budget.map_or(Room::All, Room::Bytes);
        let session =
            Session::stream(self.origin.clone(), Rc::clone(&place.device), &options, room, &mut |_| {}).await?;
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
        // A page that throws on being told is its own affair.
        let _ = self.onmoved.call1(&JsValue::NULL, &self.device.borrow().as_str().into());
        Ok(session)
    }
}
