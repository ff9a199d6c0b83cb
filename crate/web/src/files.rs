//! Files of a person's own disk as a [`Source`]: read by range when they are asked for, and sent nowhere.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;
use js_sys::{Array, Function, Uint8Array};
use moebius_engine::source::Source;
use moebius_engine::{Error, Result};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

use crate::origin::get;

/// A folder's files, or a .gguf and those that go on with it.
pub(crate) struct Files {
    files: BTreeMap<String, Blob>,
    gguf: Option<String>,
    /// Called with bytes read, bytes in all, and the file's name.
    progress: Function,
    read: Cell<u64>,
}

impl Files {
    /// Those of a list of `File`s, by the names that they have in their folder.
    pub(crate) fn new(list: &Array, progress: Function) -> Self {
        let name = |file: &JsValue| get(file, "name").as_string().unwrap_or_default();
        let blobs = list.iter().filter_map(|file| Some((name(&file), file.dyn_into::<Blob>().ok()?)));
        let files: BTreeMap<String, Blob> = blobs.collect();
        let weights = |name: &&String| name.to_lowercase().ends_with(".gguf");
        // Of a model in several files the first has the metadata, and comes first by name.
        let gguf = files.keys().find(weights).filter(|_| !files.contains_key("config.json")).cloned();
        Files { files, gguf, progress, read: Cell::new(0) }
    }

    fn file(&self, file: &str) -> Result<&Blob> {
        let missing = || Error::File { file: file.into(), reason: "is not among the files".into() };
        self.files.get(file).ok_or_else(missing)
    }
}

#[async_trait(?Send)]
impl Source for Files {
    async fn size(&self, file: &str) -> Result<u64> {
        Ok(self.file(file)?.size() as u64)
    }

    fn gguf(&self) -> Option<&str> {
        self.gguf.as_deref()
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let failed = |reason: String| Error::File { file: file.into(), reason };
        let blob = self.file(file)?;
        if range.start > range.end || range.end > blob.size() as u64 {
            return Err(failed(format!("bytes {}..{} asked of a file of {}", range.start, range.end, blob.size())));
        }
        let wrong =
            |e: JsValue| failed(format!("could not be read: {}", String::from(js_sys::Object::from(e).to_string())));
        let part = blob.slice_with_f64_and_f64(range.start as f64, range.end as f64).map_err(wrong)?;
        let bytes = JsFuture::from(part.array_buffer()).await.map_err(wrong)?;
        let bytes = Uint8Array::new(&bytes).to_vec();
        if bytes.len() as u64 != range.end - range.start {
            return Err(failed(format!("{} bytes came of {}", bytes.len(), range.end - range.start)));
        }
        self.read.set(self.read.get() + bytes.len() as u64);
        let total: f64 = self.files.values().map(Blob::size).sum();
        let read = (self.read.get() as f64).min(total);
        // A page that throws on being told is its own affair.
        let _ = self.progress.call3(&JsValue::NULL, &read.into(), &total.into(), &file.into());
        Ok(bytes)
    }
}
