//! A pack's files, each chunk checked against its SHA-256 before a byte of it is used.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::source::Source;
use crate::weights::{File, MANIFEST, Manifest, exists};

/// Chunks kept: weights, scales and a neighbour of what is being read.
const KEPT: usize = 3;

/// Largest manifest in bytes.
const BYTES: u64 = 32 << 20;

/// A model's folder. If it is a pack, the files that its manifest lists are checked; other files pass through.
pub(crate) struct Verified<'a> {
    source: Rc<dyn Source + 'a>,
    /// The manifest, if it is a pack.
    pub(crate) manifest: Option<Manifest>,
    kept: RefCell<VecDeque<Kept>>,
}

/// A chunk that was checked: its file, its number, its bytes.
type Kept = (String, usize, Rc<Vec<u8>>);

impl<'a> Verified<'a> {
    /// The folder `source`, with its manifest read if there is one.
    pub(crate) async fn open(source: &'a dyn Source) -> Result<Self> {
        Verified::over(Rc::new(source)).await
    }

    /// The same of a folder that lasts as long as what is read from it.
    pub(crate) async fn over(source: Rc<dyn Source + 'a>) -> Result<Self> {
        let manifest = if exists(source.as_ref(), MANIFEST).await? {
            Some(Manifest::parse(&source.read_all(MANIFEST, BYTES).await?)?)
        } else {
            None
        };
        Ok(Verified { source, manifest, kept: RefCell::default() })
    }

    /// What the manifest says of a file.
    fn listed(&self, file: &str) -> Option<&File> {
        let manifest = self.manifest.as_ref()?;
        manifest.files.iter().chain(&manifest.shards).find(|f| f.name == file)
    }

    /// Chunk `i` of `file`, which is `range` of it.
    async fn chunk(&self, file: &File, i: usize, range: Range<u64>) -> Result<Rc<Vec<u8>>> {
        let found = self.kept.borrow().iter().find(|(name, n, _)| *n == i && *name == file.name).map(|k| k.2.clone());
        if let Some(bytes) = found {
            return Ok(bytes);
        }
        let bytes = Rc::new(self.source.read(&file.name, range.clone()).await?);
        if hex(&Sha256::digest(bytes.as_slice())) != file.chunks[i].sha256 {
            let reason =
                format!("bytes {} to {} are damaged: SHA-256 differs from the manifest's", range.start, range.end);
            return Err(Error::File { file: file.name.clone(), reason });
        }
        let mut kept = self.kept.borrow_mut();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((file.name.clone(), i, bytes.clone()));
        Ok(bytes)
    }
}

#[async_trait(?Send)]
impl Source for Verified<'_> {
    async fn size(&self, file: &str) -> Result<u64> {
        match self.listed(file) {
            Some(known) => Ok(known.bytes),
            None => self.source.size(file).await,
        }
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let Some(file) = self.listed(file) else {
            return self.source.read(file, range).await;
        };
        let mut out = Vec::new();
        let mut start = 0;
        for (i, chunk) in file.chunks.iter().enumerate() {
            let end = start + chunk.bytes;
            if start < range.end && range.start < end {
                let bytes = self.chunk(file, i, start..end).await?;
                let part = (range.start.max(start) - start) as usize..(range.end.min(end) - start) as usize;
                out.extend_from_slice(&bytes[part]);
            }
            start = end;
        }
        if out.len() as u64 != range.end.saturating_sub(range.start) {
            let reason = format!("bytes {}..{} asked of {}", range.start, range.end, file.bytes);
            return Err(Error::File { file: file.name.clone(), reason });
        }
        Ok(out)
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
