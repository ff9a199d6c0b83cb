//! Where bytes come from: a folder of files, read by ranges. Memory, disk and fetch are implementations.

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;

use crate::error::{Error, Result};

/// A model's folder: named files, read by byte range. Offsets are `u64` everywhere, also on wasm32.
#[async_trait(?Send)]
pub trait Source {
    /// Size of `file` in bytes. [`Error::File`] when there is no such file.
    async fn size(&self, file: &str) -> Result<u64>;

    /// Exactly the bytes `range` of `file`; anything shorter is [`Error::File`].
    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>>;

    /// Name of the .gguf that is the whole model, where it is one; other files of its folder are then none of the model's.
    fn gguf(&self) -> Option<&str> {
        None
    }

    /// Told that somebody waits for what is read from now on, or that nobody does. At first somebody does.
    fn press(&self, _pressing: bool) {}

    /// Told what is read next, in order: files and ranges of them. A source that is told nothing may go by what was read last.
    fn ahead(&self, _stretches: &[(String, Range<u64>)]) {}

    /// Whether what was read of `file`, one that a pack's manifest lists, was found to have the hashes that stand there.
    fn checked(&self, _file: &str) -> bool {
        false
    }

    /// The whole of a small file (configuration, tokenizer), refused above `limit` bytes before it is read.
    async fn read_all(&self, file: &str, limit: u64) -> Result<Vec<u8>> {
        let size = self.size(file).await?;
        if size > limit {
            return Err(Error::Limit { what: format!("size of {file} in bytes"), value: size, limit });
        }
        self.read(file, 0..size).await
    }
}

/// A folder that is only lent.
#[async_trait(?Send)]
impl Source for &dyn Source {
    fn gguf(&self) -> Option<&str> {
        (**self).gguf()
    }

    async fn size(&self, file: &str) -> Result<u64> {
        (**self).size(file).await
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
        (**self).read(file, range).await
    }

    fn press(&self, pressing: bool) {
        (**self).press(pressing);
    }

    fn checked(&self, file: &str) -> bool {
        (**self).checked(file)
    }

    fn ahead(&self, stretches: &[(String, Range<u64>)]) {
        (**self).ahead(stretches);
    }
}

/// Files held in memory: tests, and files a person dropped on the page.
#[derive(Default)]
pub struct Memory {
    files: BTreeMap<String, Vec<u8>>,
    /// The .gguf that is the whole model.
    pub gguf: Option<String>,
}

impl Memory {
    /// Adds or replaces a file.
    pub fn insert(&mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.files.insert(name.into(), bytes.into());
    }

    fn file(&self, name: &str) -> Result<&[u8]> {
        let missing = || Error::File { file: name.into(), reason: "no such file".into() };
        self.files.get(name).map(Vec::as_slice).ok_or_else(missing)
    }
}

#[async_trait(?Send)]
impl Source for Memory {
    async fn size(&self, file: &str) -> Result<u64> {
        Ok(self.file(file)?.len() as u64)
    }

    fn gguf(&self) -> Option<&str> {
        self.gguf.as_deref()
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let bytes = self.file(file)?;
        let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = part.and_then(|(start, end)| bytes.get(start..end));
        part.map(<[u8]>::to_vec).ok_or_else(|| Error::File {
            file: file.into(),
            reason: format!("bytes {}..{} asked of a file of {}", range.start, range.end, bytes.len()),
        })
    }
}
