//! Where a model comes from and where it runs: what it takes to load it, and to load it again when its GPU was lost.

use std::cell::RefCell;
use std::rc::Rc;

use async_trait::async_trait;
use js_sys::Function;
use moebius_engine::format::Format;
use moebius_engine::model::LoadOptions;
use moebius_engine::session::{Recover, Session};
use moebius_engine::{Error, Result};
use serde_json::json;
use wasm_bindgen::JsValue;

use crate::origin::Origin;
use crate::place::{Place, reason};
use crate::threads::Crew;

/// A model's place, and the device that is wanted for it.
pub(crate) struct Home {
    pub(crate) origin: Origin,
    /// `auto`, `gpu` or `cpu`.
    pub(crate) choice: String,
    /// Tokens of context.
    pub(crate) context: Option<usize>,
    /// What keys and values are kept in.
    pub(crate) cache: Option<Format>,
    /// The CPU's threads.
    pub(crate) crew: Crew,
    /// Called with the device, as JSON, when the model was loaded again.
    pub(crate) onmoved: Function,
    /// `Device` of `www/protocol.js`, as JSON.
    pub(crate) device: RefCell<String>,
}

impl Home {
    /// A session on the model. Where the choice is left to the engine and the GPU fails at it, the CPU takes over.
    pub(crate) async fn open(&self, lost: Option<&Error>) -> Result<Session> {
        let mut place = Place::choose(&self.choice, &self.crew).await?;
        let session = loop {
            match self.session_on(&place).await {
                Err(error @ (Error::Device(_) | Error::Lost(_))) if self.choice == "auto" && place.why.is_empty() => {
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
        let options = LoadOptions { precision: self.origin.precision, context: self.context, cache: self.cache };
        let session = Session::load(&self.origin, Rc::clone(&place.device), &options, &mut |_| {}).await;
        session.map_err(|error| self.origin.explain(error))
    }
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
