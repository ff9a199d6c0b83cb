//! The engine as a class that a worker holds.

use std::cell::RefCell;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use js_sys::{Function, Uint8Array, Uint32Array};
use moebius_engine::chat::{Chat, ChatRequest, CompletionRequest};
use moebius_engine::format::Format;
use moebius_engine::model::{Attention, Ffn};
use moebius_engine::{Error, Result};
use serde::Serialize;
use serde_json::json;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::spawn_local;

use crate::fault::{fault, keep_panics, object};
use crate::home::Home;
use crate::origin::{Files, Origin};
use crate::page::Page;
use crate::threads::Crew;

/// A model, loaded and ready. One request at a time: a second one while one runs is an error.
#[wasm_bindgen]
pub struct Engine {
    /// Taken out while a request runs.
    chat: RefCell<Option<Chat>>,
    page: Page,
    home: Rc<Home>,
    /// What [`Engine::info`] says.
    info: String,
}

#[wasm_bindgen]
impl Engine {
    /// Loads the model in `files`. `device` is `auto`, `gpu` or `cpu`, `cache` `f32` or `f16`. With `stream` the model is there when it can
    /// answer; the rest of its experts come beside that, as many as find room in `budget` bytes, and then `onfilled` is called. A GPU is
    /// made ready beside that too. One that is lost, or found to be no good, is replaced, or the CPU takes over: then `onmoved` is called
    /// with the new [`Engine::device`] and `true`, and what was running goes on; it is called with `false` where a kernel gave way to a
    /// plainer one. `hire` starts the threads of the CPU.
    #[allow(clippy::too_many_arguments, reason = "they are named in www/worker.js, the one place that calls this")]
    pub async fn load(
        files: Files,
        device: String,
        context: Option<usize>,
        cache: Option<String>,
        stream: bool,
        budget: Option<f64>,
        onfilled: Function,
        onmoved: Function,
        hire: Function,
    ) -> std::result::Result<Engine, JsValue> {
        keep_panics();
        let page = Page::new()?;
        let cache = cache.map(|name| cache_format(&name)).transpose().map_err(|error| fault(&error))?;
        let origin = Rc::new(Origin::new(files).map_err(|error| fault(&error))?);
        let home = Home {
            origin,
            choice: device,
            context,
            cache,
            stream,
            budget: budget.map(|bytes| bytes as u64),
            onfilled,
            onmoved,
            crew: Crew::new(hire),
            place: RefCell::default(),
            experts: RefCell::default(),
        };
        let home = Rc::new(home);
        let chat = open(&home).await.map_err(|error| fault(&error))?;
        let info = info(&chat).to_string();
        Ok(Engine { chat: RefCell::new(Some(chat)), page, home, info })
    }

    /// What was loaded: `Info` of `www/protocol.js` but for the device, as JSON.
    pub fn info(&self) -> String {
        self.info.clone()
    }

    /// Where it runs: `Device` of `www/protocol.js`, as JSON.
    pub fn device(&self) -> String {
        self.home.device()
    }

    /// Whether experts are still to come.
    pub fn streamed(&self) -> bool {
        self.home.experts.borrow().as_ref().is_some_and(|(residency, _)| !residency.filled())
    }

    /// What is known of the experts: `ExpertMap` of `www/protocol.js`.
    pub fn experts(&self) -> JsValue {
        let experts = self.home.experts.borrow();
        let (map, counts) = experts.as_ref().map(|(r, _)| (r.map(), r.counts())).unwrap_or_default();
        let places: Vec<u8> = map.there.iter().map(|there| if *there { 2 } else { 0 }).collect();
        object(&[
            ("layers", map.layers.into()),
            ("experts", map.experts.into()),
            ("active", map.active.into()),
            ("where", Uint8Array::from(places.as_slice()).into()),
            ("uses", Uint32Array::from(map.uses.as_slice()).into()),
            ("hits", ((counts.wanted - counts.missed) as f64).into()),
            ("misses", (counts.missed as f64).into()),
        ])
    }

    /// Where the experts of that map are in the files: a name, a start and an end for each, the name empty where they are not in
    /// one piece.
    pub fn records(&self) -> Vec<JsValue> {
        let experts = self.home.experts.borrow();
        let records = experts.as_ref().map(|(residency, _)| residency.records()).unwrap_or_default();
        let each = records.into_iter().map(|record| record.unwrap_or_else(|| ("".into(), 0..0)));
        each.flat_map(|(file, at)| [(&*file).into(), (at.start as f64).into(), (at.end as f64).into()]).collect()
    }

    /// Answers a request, in JSON, of `kind` `chat` or `completion`; the whole reply comes back as JSON. If the request
    /// asks for a stream, `onchunk` is called with each chunk as JSON.
    pub async fn complete(
        &self,
        kind: String,
        request: String,
        onchunk: Function,
    ) -> std::result::Result<String, JsValue> {
        let mut chat = self.take()?;
        let reply = self.unless_cancelled(self.reply(&mut chat, &kind, &request, &onchunk)).await;
        self.chat.replace(Some(chat));
        reply.map_err(|error| fault(&error))
    }

    /// Stops what runs, soon.
    pub fn cancel(&self) {
        self.page.cancel(true);
    }

    /// Told whether nobody looks at the page: the CPU's threads then leave the cores to others.
    pub fn calm(&self, calm: bool) {
        self.home.crew.calm(calm);
    }

    /// Logits after `tokens`, over the whole vocabulary.
    pub async fn logits(&self, tokens: Vec<u32>) -> std::result::Result<Vec<f32>, JsValue> {
        let mut chat = self.take()?;
        let logits = self.unless_cancelled(chat.session.logits(&tokens, &self.page)).await;
        self.chat.replace(Some(chat));
        logits.map_err(|error| fault(&error))
    }

    /// Token ids of a text, without special tokens.
    pub fn tokenize(&self, text: &str) -> std::result::Result<Vec<u32>, JsValue> {
        let chat = self.chat.borrow();
        let chat = chat.as_ref().ok_or_else(busy)?;
        chat.tokenizer.encode(text).map_err(|error| fault(&error))
    }

    /// Text of token ids.
    pub fn detokenize(&self, tokens: &[u32]) -> std::result::Result<String, JsValue> {
        let chat = self.chat.borrow();
        Ok(chat.as_ref().ok_or_else(busy)?.tokenizer.decode(tokens))
    }
}

impl Engine {
    fn take(&self) -> std::result::Result<Chat, JsValue> {
        self.page.cancel(false);
        self.chat.take().ok_or_else(busy)
    }

    /// Does work that may wait for a host for long. Where it is given up there, a conversation goes on as after an error.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match select(pin!(work), pin!(self.page.cancelled())).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err(Error::Request { field: "request".into(), reason: "stopped by the caller".into() }),
        }
    }

    async fn reply(&self, chat: &mut Chat, kind: &str, request: &str, onchunk: &Function) -> Result<String> {
        match kind {
            "chat" => {
                let request = ChatRequest::parse(request)?;
                let stream = request.common.stream;
                let mut sink = |chunk| tell(stream, onchunk, &chunk);
                to_json(&chat.respond(&request, &self.page, &mut sink).await?)
            }
            "completion" => {
                let request = CompletionRequest::parse(request)?;
                let stream = request.common.stream;
                let mut sink = |chunk| tell(stream, onchunk, &chunk);
                to_json(&chat.complete(&request, &self.page, &mut sink).await?)
            }
            other => {
                Err(Error::Request { field: "kind".into(), reason: format!("{other:?} is not chat or completion") })
            }
        }
    }
}

/// Hands a chunk over; ends the reply if there is nobody to take it.
fn tell(stream: bool, onchunk: &Function, chunk: &impl Serialize) -> ControlFlow<()> {
    if !stream {
        return ControlFlow::Continue(());
    }
    let told = to_json(chunk).is_ok_and(|json| onchunk.call1(&JsValue::NULL, &json.into()).is_ok());
    if told { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Request { field: "reply".into(), reason: e.to_string() })
}

/// The format for `cache`.
fn cache_format(name: &str) -> Result<Format> {
    let known = Format::from_name(name).filter(|format| matches!(format, Format::F32 | Format::F16));
    known.ok_or_else(|| Error::Request { field: "cache".into(), reason: format!("{name:?} is not f32 or f16") })
}

fn busy() -> JsValue {
    fault(&Error::Request { field: "request".into(), reason: "another one is running".into() })
}

async fn open(home: &Rc<Home>) -> Result<Chat> {
    let mut session = home.open(None).await?;
    session.recovery = Some(home.clone());
    spawn_local(home.clone().watch(home.device(), session.ready()));
    Chat::over(home.origin.name.clone(), session)
}

/// See [`Engine::info`].
fn info(chat: &Chat) -> serde_json::Value {
    let model = &chat.session.model;
    let spec = &model.spec;
    let moe = spec.layers.iter().find_map(|l| if let Ffn::Moe(moe) = &l.ffn { Some(moe) } else { None });
    let latent = spec.layers.iter().any(|l| matches!(l.attention, Attention::Mla(_)));
    let files = [&model.files.chat_template, &model.files.tokenizer_config];
    json!({
        "model": chat.name,
        "context": model.context,
        "bytes": model.bytes,
        "bytesPerToken": model.bytes_per_token(),
        "chat": chat.template.is_some(),
        "system": model.prefix.as_ref().map_or("", |prefix| &prefix.system),
        // A template that can switch thinking on and off asks for this variable, whose name is a convention.
        "thinking": files.into_iter().flatten().any(|text| text.contains("enable_thinking")),
        "spec": {
            "family": spec.family,
            "attention": if latent { "latent" } else { "grouped" },
            "layers": spec.layers.len(),
            "hidden": spec.hidden,
            "vocab": spec.vocab,
            "experts": moe.map_or(0, |m| m.experts),
            "active": moe.map_or(0, |m| m.chosen),
        },
    })
}
