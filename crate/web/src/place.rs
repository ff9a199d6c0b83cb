//! Where a model runs: WebGPU where the browser grants a real one, else the CPU, with the reason.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::{Function, Promise, Reflect};
use moebius_engine::device::{Compiler, Device, Draft, Gpu, Profile};
use moebius_engine::kernel::Access;
use moebius_engine::{Error, Result};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::threads::Crew;

#[wasm_bindgen(module = "/src/webgpu.js")]
extern "C" {
    /// Has every device asked for from now on with the optional features that wgpu has no name for; which of them
    /// `adapter` has.
    #[wasm_bindgen(js_name = completeRequests)]
    fn complete_requests(adapter: &JsValue) -> Vec<String>;

    /// Pipelines that the browser makes beside other work.
    pub(crate) type Pipelines;

    /// Those of the device that was asked for last.
    #[wasm_bindgen(js_name = newestPipelines)]
    fn newest_pipelines() -> Option<Pipelines>;

    #[wasm_bindgen(method)]
    fn begin(this: &Pipelines, name: &str, code: &str, bindings: Vec<String>, names: Vec<String>, values: &[u32]);

    #[wasm_bindgen(method)]
    fn made(this: &Pipelines, name: &str) -> Promise;
}

impl Compiler for Pipelines {
    fn begin(&self, draft: &Draft<'_>) {
        let bindings = draft.bindings.iter().map(|access| match access {
            Access::Uniform => "uniform",
            Access::Read => "read-only-storage",
            Access::Write => "storage",
        });
        let (names, values): (Vec<_>, Vec<_>) = draft.constants.iter().map(|(n, v)| ((*n).to_owned(), *v)).unzip();
        self.begin(draft.name, draft.text, bindings.map(str::to_owned).collect(), names, &values);
    }

    fn made(&self, name: &str) -> Pin<Box<dyn Future<Output = ()>>> {
        let made = JsFuture::from(self.made(name));
        // It never fails.
        Box::pin(async move { drop(made.await) })
    }
}

/// A device, what to call it, and why it is not a GPU (empty if it is one).
pub(crate) struct Place {
    pub(crate) device: Rc<dyn Device>,
    pub(crate) name: String,
    pub(crate) why: String,
}

impl Place {
    /// The device for `choice`: `auto`, `gpu` or `cpu`; the CPU's threads are `crew`'s.
    pub(crate) async fn choose(choice: &str, crew: &Crew) -> Result<Self> {
        match choice {
            "cpu" => Ok(Place::cpu("as chosen".into(), crew).await),
            "gpu" => Ok(Place::gpu().await?.0),
            "auto" => Ok(match Place::gpu().await {
                Ok((place, false)) => place,
                Ok((place, true)) => Place::cpu(format!("WebGPU is software here ({})", place.name), crew).await,
                Err(error) => Place::cpu(reason(error), crew).await,
            }),
            other => {
                Err(Error::Request { field: "device".into(), reason: format!("{other:?} is not auto, gpu or cpu") })
            }
        }
    }

    /// The CPU, and why.
    pub(crate) async fn cpu(why: String, crew: &Crew) -> Self {
        let (device, lack) = crew.cpu().await;
        let why = if lack.is_empty() { why } else { format!("{why}; {lack}") };
        Place { name: device.name(), device: Rc::new(device), why }
    }

    /// The GPU, and whether it is only a program on the CPU.
    async fn gpu() -> Result<(Self, bool)> {
        if navigator_gpu().is_none() {
            let secure = get(&js_sys::global(), "isSecureContext").is_truthy();
            let why = if secure { "this browser has no WebGPU" } else { "WebGPU needs a page served over https" };
            return Err(Error::Device(why.into()));
        }
        let missing = || Error::Device("this browser has no GPU to give to WebGPU".into());
        let adapter = adapter().await.ok_or_else(missing)?;
        let subgroups = complete_requests(&adapter).iter().any(|name| name == "subgroups");
        let all = Profile::ALL;
        let mut device = Gpu::new(if subgroups { all } else { Profile { subgroup: 0, ..all } }).await?;
        device.compiler = newest_pipelines().map(|pipelines| Rc::new(pipelines) as Rc<dyn Compiler>);
        let software = device.software;
        let name = adapter_name(&adapter).unwrap_or_else(|| device.name());
        Ok((Place { device: Rc::new(device), name, why: String::new() }, software))
    }
}

/// What a person reads of an error.
pub(crate) fn reason(error: Error) -> String {
    match error {
        Error::Device(reason) => reason,
        other => other.to_string(),
    }
}

/// The browser's adapter: asked before wgpu does, whose errors speak of backends no page has.
async fn adapter() -> Option<JsValue> {
    let gpu = navigator_gpu()?;
    let request: Function = get(&gpu, "requestAdapter").dyn_into().ok()?;
    let promise: Promise = request.call0(&gpu).ok()?.dyn_into().ok()?;
    JsFuture::from(promise).await.ok().filter(JsValue::is_truthy)
}

/// The adapter's name as the browser tells it: a description, or vendor and architecture.
fn adapter_name(adapter: &JsValue) -> Option<String> {
    let info = get(adapter, "info");
    let text = |key| get(&info, key).as_string().filter(|s| !s.is_empty());
    text("description").or_else(|| Some([text("vendor")?, text("architecture").unwrap_or_default()].join(" ")))
}

fn navigator_gpu() -> Option<JsValue> {
    Some(get(&get(&js_sys::global(), "navigator"), "gpu")).filter(JsValue::is_truthy)
}

/// A property, or `undefined`.
fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or_default()
}
