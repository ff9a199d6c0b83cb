//! Where a model comes from: a folder or a .gguf on a web host, or files that a person handed over.

use js_sys::Function;
use js_sys::{Array, Reflect};
use moebius_engine::source::Source;
use moebius_engine::weights::Precision;
use moebius_engine::{Error, Result};
use wasm_bindgen::JsValue;

use crate::fetch::Fetch;
use crate::files::Files;

/// A model's place, and what its matrices are to become.
pub(crate) struct Origin {
    /// URL of a folder, with its closing slash, or of a .gguf; empty for files.
    url: String,
    /// Sent to the host as `Authorization: Bearer`. Never kept anywhere else.
    token: Option<String>,
    files: Option<Array>,
    pub(crate) precision: Precision,
}

/// A source, and what it has to say where it fails.
pub(crate) enum Opened {
    Host(Box<Fetch>),
    Local(Files),
}

impl Origin {
    /// `place` as `www/places/place.js` makes it: a URL, or `{url, token, files, format}`.
    pub(crate) fn new(place: &JsValue) -> Result<Self> {
        let text = |key: &str| get(place, key).as_string();
        let url = place.as_string().or_else(|| text("url")).unwrap_or_default();
        let wrong = |name| Error::Request { field: "format".into(), reason: format!("{name:?} is none that is known") };
        let format = text("format");
        let precision = format.map(|name| Precision::from_name(&name).ok_or_else(|| wrong(name))).transpose()?;
        let files = Some(get(place, "files")).filter(Array::is_array).map(|files| Array::from(&files));
        Ok(Origin { url, token: text("token"), files, precision: precision.unwrap_or_default() })
    }

    /// The model's name: that of the folder or of the file.
    pub(crate) fn name(&self) -> String {
        let path = match &self.files {
            Some(files) => get(&files.get(0), "name").as_string().unwrap_or_default(),
            None => self.url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned(),
        };
        path.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// The source; `onprogress` as in [`Fetch::new`].
    pub(crate) fn open(&self, onprogress: Function) -> Opened {
        match &self.files {
            Some(files) => Opened::Local(Files::new(files, onprogress)),
            None => Opened::Host(Box::new(Fetch::new(&self.url, self.token.clone(), onprogress))),
        }
    }
}

impl Opened {
    pub(crate) fn source(&self) -> &dyn Source {
        match self {
            Opened::Host(fetch) => fetch.as_ref(),
            Opened::Local(files) => files,
        }
    }

    /// What is to be told when loading failed.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match self {
            Opened::Host(fetch) => fetch.explain(error),
            Opened::Local(_) => error,
        }
    }
}

/// A property, or `undefined`.
pub(crate) fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or_default()
}
