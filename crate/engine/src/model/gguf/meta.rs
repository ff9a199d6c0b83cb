//! Metadata of a GGUF by what they are about, with errors that name the key.

use crate::error::{Error, Result};
use crate::weights::gguf::{Header, TensorInfo, Value};
use crate::weights::shown;

/// The metadata of a model.
pub(super) struct Meta<'a> {
    /// The file that has them.
    pub(super) file: &'a str,
    /// Name of the architecture, which most keys begin with.
    pub(super) arch: &'a str,
    header: &'a Header,
    headers: &'a [(String, Header)],
}

impl<'a> Meta<'a> {
    /// Those of the first file; other files have tensors.
    pub(super) fn new(headers: &'a [(String, Header)]) -> Result<Self> {
        const ARCH: &str = "general.architecture";
        let missing = |key: &str| Error::config("GGUF", key, "is missing");
        let (file, header) = headers.first().ok_or_else(|| missing("header"))?;
        let arch = header.text(file, ARCH)?.ok_or_else(|| Error::config(file, ARCH, "is missing"))?;
        Ok(Meta { file, arch, header, headers })
    }

    /// The key of the architecture with this end.
    pub(super) fn key(&self, end: &str) -> String {
        format!("{}.{end}", self.arch)
    }

    /// An error about the key with this end.
    pub(super) fn wrong(&self, end: &str, reason: impl std::fmt::Display) -> Error {
        Error::config(self.file, shown(&self.key(end)), reason)
    }

    /// An error about what a key asks for.
    pub(super) fn unsupported(&self, what: &str, missing: &str) -> Error {
        Error::Unsupported { what: format!("{} in {}", shown(what), self.file), missing: missing.into() }
    }

    /// A whole number, if there.
    pub(super) fn count(&self, end: &str) -> Result<Option<u64>> {
        self.header.count(self.file, &self.key(end))
    }

    /// A whole number above 0.
    pub(super) fn size(&self, end: &str) -> Result<u64> {
        match self.count(end)? {
            Some(0) => Err(self.wrong(end, "is 0")),
            Some(n) => Ok(n),
            None => Err(self.wrong(end, "is missing")),
        }
    }

    /// One whole number, or one for each layer.
    pub(super) fn each(&self, end: &str) -> Result<Option<Vec<u64>>> {
        let key = self.key(end);
        match self.header.metadata.get(&key) {
            Some(Value::Wholes(list)) => {
                let counts: Option<Vec<u64>> = list.iter().map(|n| u64::try_from(*n).ok()).collect();
                counts.map(Some).ok_or_else(|| self.wrong(end, "has a number below 0"))
            }
            _ => Ok(self.header.count(self.file, &key)?.map(|n| vec![n])),
        }
    }

    /// A number, if there.
    pub(super) fn number(&self, end: &str) -> Result<Option<f64>> {
        self.number_at(&self.key(end))
    }

    /// The number of a whole key, if there.
    pub(super) fn number_at(&self, key: &str) -> Result<Option<f64>> {
        self.header.number(self.file, key)
    }

    /// The text of a whole key, if there.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.header.text(self.file, key)
    }

    /// The flag of a whole key, if there.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.header.flag(self.file, key)
    }

    /// Texts of the vocabulary; none where there is no vocabulary, or something else is in its place.
    pub(super) fn tokens(&self) -> &'a [String] {
        self.header.texts(self.file, "tokenizer.ggml.tokens").ok().flatten().unwrap_or_default()
    }

    /// The header of the first file.
    pub(super) fn header(&self) -> &'a Header {
        self.header
    }

    /// The id under `tokenizer.ggml.KEY_token_id`, which must be in the vocabulary.
    pub(super) fn token(&self, key: &str) -> Result<Option<usize>> {
        let key = format!("tokenizer.ggml.{key}_token_id");
        let Some(id) = self.header.count(self.file, &key)? else { return Ok(None) };
        // What a file has for none.
        if id >= u64::from(u32::MAX) {
            return Ok(None);
        }
        let all = self.tokens().len();
        let within = usize::try_from(id).ok().filter(|id| *id < all || all == 0);
        within.map(Some).ok_or_else(|| Error::config(self.file, key, format!("{id} is beyond {all} tokens")))
    }

    /// A tensor, and the file that has it.
    pub(super) fn tensor(&self, name: &str) -> Option<(&'a str, &'a TensorInfo)> {
        self.headers.iter().find_map(|(file, header)| Some((file.as_str(), header.tensor(name)?)))
    }

    /// Whether there is such a tensor.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensor(name).is_some()
    }
}
