//! Where a model comes from: an object of JavaScript that reads files, be they a host's, the store's or a person's own.

use std::cell::Cell;
use std::ops::Range;

use async_trait::async_trait;
use js_sys::{Reflect, Uint8Array};
use moebius_engine::source::Source;
use moebius_engine::weights::Precision;
use moebius_engine::{Error, Result};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen]
extern "C" {
    /// `Source` of `www/loader/source.js`.
    #[wasm_bindgen(typescript_type = "import('../loader/source.js').Source")]
    pub type Files;

    #[wasm_bindgen(method, getter)]
    fn name(this: &Files) -> String;

    #[wasm_bindgen(method, getter)]
    fn gguf(this: &Files) -> Option<String>;

    #[wasm_bindgen(method, getter)]
    fn format(this: &Files) -> Option<String>;

    #[wasm_bindgen(method, catch)]
    async fn size(this: &Files, file: &str) -> std::result::Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn read(this: &Files, file: &str, start: f64, end: f64) -> std::result::Result<JsValue, JsValue>;

    #[wasm_bindgen(method)]
    fn holds(this: &Files, file: &str, start: f64, end: f64) -> bool;

    #[wasm_bindgen(method)]
    fn reread(this: &Files, file: &str, start: f64, into: &mut [u8]) -> bool;

    #[wasm_bindgen(method)]
    fn free(this: &Files, bytes: &Uint8Array);

    #[wasm_bindgen(method)]
    fn verdict(this: &Files, file: bool) -> JsValue;

    #[wasm_bindgen(method)]
    fn checked(this: &Files, file: &str) -> bool;

    #[wasm_bindgen(method)]
    fn press(this: &Files, pressing: bool);

    #[wasm_bindgen(method)]
    fn ahead(this: &Files, stretches: Vec<JsValue>);
}

/// A model's place, and what its matrices are to become.
pub(crate) struct Origin {
    files: Files,
    gguf: Option<String>,
    /// The model's name: that of the folder or of the file.
    pub(crate) name: String,
    pub(crate) precision: Precision,
    /// Whether it is being loaded: once it is, a host that was given up is asked again by whoever reads next.
    loading: Cell<bool>,
}

impl Origin {
    pub(crate) fn new(files: Files) -> Result<Self> {
        let wrong = |name| Error::Request { field: "format".into(), reason: format!("{name:?} is none that is known") };
        let precision =
            files.format().map(|name| Precision::from_name(&name).ok_or_else(|| wrong(name))).transpose()?;
        Ok(Origin {
            gguf: files.gguf(),
            name: files.name(),
            files,
            precision: precision.unwrap_or_default(),
            loading: Cell::new(true),
        })
    }

    /// Told that it is being loaded, or is.
    pub(crate) fn loads(&self, loading: bool) {
        self.loading.set(loading);
    }

    /// What is to be told when loading failed with `error`: what the host did, if that explains it.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let verdict = self.files.verdict(matches!(error, Error::File { .. }));
        if verdict.is_undefined() { error } else { failure("", &verdict) }
    }
}

#[async_trait(?Send)]
impl Source for Origin {
    async fn size(&self, file: &str) -> Result<u64> {
        let size = self.files.size(file).await.map_err(|fault| failure(file, &fault))?;
        size.as_f64().map(|size| size as u64).ok_or_else(|| failure(file, &size))
    }

    fn gguf(&self) -> Option<&str> {
        self.gguf.as_deref()
    }

    fn press(&self, pressing: bool) {
        self.files.press(pressing);
    }

    fn checked(&self, file: &str) -> bool {
        self.files.checked(file)
    }

    fn ahead(&self, stretches: &[(String, Range<u64>)]) {
        let each = |(file, range): &(String, Range<u64>)| {
            [file.into(), (range.start as f64).into(), (range.end as f64).into()]
        };
        self.files.ahead(stretches.iter().flat_map(each).collect());
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let (start, end) = (range.start as f64, range.end as f64);
        // No turn of the event loop: what a layer is foreseen to want is there when it wants it.
        if self.files.holds(file, start, end) {
            let mut out = room(file, (range.end - range.start) as usize)?;
            if self.files.reread(file, start, &mut out) {
                return Ok(out);
            }
        }
        let read = self.files.read(file, start, end).await;
        let bytes: Uint8Array = read.and_then(JsCast::dyn_into).map_err(|fault| {
            if !self.loading.get() {
                self.files.verdict(true);
            }
            failure(file, &fault)
        })?;
        let mut out = room(file, bytes.length() as usize)?;
        bytes.copy_to(&mut out);
        self.files.free(&bytes);
        Ok(out)
    }
}

/// Room for so many bytes of a file.
fn room(file: &str, length: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.try_reserve_exact(length).map_err(|_| Error::Memory { what: file.into(), bytes: length as u64 })?;
    out.resize(length, 0);
    Ok(out)
}

/// The error of a `Fault` of `www/loader/messages.js`.
fn failure(file: &str, fault: &JsValue) -> Error {
    let text = |key: &str| Reflect::get(fault, &key.into()).unwrap_or_default().as_string();
    let reason = text("reason").unwrap_or_else(|| format!("could not be read: {fault:?}"));
    Error::File { file: text("file").unwrap_or_else(|| file.into()), reason }
}
