//! A model's folder as what it holds: a pack, whose chunks are checked against their SHA-256 before a byte is used, unless whoever
//! reads them did, a GGUF, whose metadata stand as the files that they say the same as, or neither.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::source::Source;
use crate::weights::gguf::Header;
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
    /// Architecture of a GGUF, if it is one.
    pub(crate) arch: String,
    /// The files of a GGUF and what is in them, if it is one.
    pub(crate) gguf: Vec<(String, Header)>,
    /// Texts that its metadata make.
    pub(crate) texts: BTreeMap<&'static str, Vec<u8>>,
    kept: RefCell<VecDeque<Kept>>,
    /// Sums of chunks whose hash was right, by file and number.
    sums: RefCell<BTreeMap<(String, usize), u64>>,
    /// Whether the source checks what it reads: then what is wanted is read, and not the chunks that have it.
    checks: Cell<bool>,
}

/// A chunk that was checked: its file, its number, its bytes.
type Kept = (String, usize, Rc<Vec<u8>>);

impl<'a> Verified<'a> {
    /// The folder `source`, with its manifest read if there is one.
    pub(crate) async fn over(source: Rc<dyn Source + 'a>) -> Result<Self> {
        let manifest = if exists(source.as_ref(), MANIFEST).await? {
            Some(Manifest::parse(&source.read_all(MANIFEST, BYTES).await?)?)
        } else {
            None
        };
        let folder = Verified {
            source,
            manifest,
            arch: String::new(),
            gguf: Vec::new(),
            texts: BTreeMap::new(),
            kept: RefCell::default(),
            sums: RefCell::default(),
            checks: Cell::default(),
        };
        folder.expect(false, &[]);
        Ok(folder)
    }

    /// Tells the source what is read next of a pack: the experts' shards, or all but those, the larger files first; and `more`.
    pub(crate) fn expect(&self, experts: bool, more: &[(String, Range<u64>)]) {
        let Some(Manifest { files, shards, experts: tables, .. }) = &self.manifest else { return };
        let mut of_experts = vec![false; shards.len()];
        for (shard, _) in tables.values().flat_map(|table| &table.records) {
            of_experts[*shard] = true;
        }
        let shards = shards.iter().zip(of_experts).filter(|(_, of)| *of == experts).map(|(shard, _)| shard);
        let next = shards.chain(files.iter().filter(|_| !experts)).map(|file| (file.name.clone(), 0..file.bytes));
        self.source.ahead(&next.chain(more.iter().cloned()).collect::<Vec<_>>());
    }

    /// The model in the files of a GGUF, with the texts that its metadata make.
    pub(crate) fn of_gguf(
        source: Rc<dyn Source + 'a>,
        arch: String,
        gguf: Vec<(String, Header)>,
        texts: BTreeMap<&'static str, Vec<u8>>,
    ) -> Self {
        let (kept, sums, checks) = Default::default();
        Verified { source, manifest: None, arch, gguf, texts, kept, sums, checks }
    }

    /// Refuses files beside a GGUF: they are another model's.
    fn belongs(&self, file: &str) -> Result<()> {
        if self.gguf.is_empty() || self.gguf.iter().any(|(name, _)| name == file) {
            return Ok(());
        }
        Err(Error::File { file: file.into(), reason: "is not in the GGUF".into() })
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
        self.checks.set(self.source.checked(&file.name));
        if self.checks.get() {
            return Ok(bytes);
        }
        // What comes again and again, as experts do that find no room, is hashed once, and known by a sum after that.
        let (key, sum) = ((file.name.clone(), i), sum(&bytes));
        if self.sums.borrow().get(&key) != Some(&sum) {
            if hex(&Sha256::digest(bytes.as_slice())) != file.chunks[i].sha256 {
                let Range { start, end } = range;
                let reason = format!("bytes {start} to {end} are damaged: SHA-256 differs from the manifest's");
                return Err(Error::File { file: file.name.clone(), reason });
            }
            self.sums.borrow_mut().insert(key, sum);
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
        if let Some(text) = self.texts.get(file) {
            return Ok(text.len() as u64);
        }
        self.belongs(file)?;
        match self.listed(file) {
            Some(known) => Ok(known.bytes),
            None => self.source.size(file).await,
        }
    }

    fn press(&self, pressing: bool) {
        self.source.press(pressing);
    }

    fn ahead(&self, stretches: &[(String, Range<u64>)]) {
        self.source.ahead(stretches);
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
        if let Some(text) = self.texts.get(file) {
            let part = text.get(range.start as usize..range.end as usize);
            let reason = format!("bytes {}..{} asked of {}", range.start, range.end, text.len());
            return part.map(<[u8]>::to_vec).ok_or_else(|| Error::File { file: file.into(), reason });
        }
        self.belongs(file)?;
        let Some(file) = self.listed(file) else {
            return self.source.read(file, range).await;
        };
        if self.checks.get() && range.end <= file.bytes {
            let bytes = self.source.read(&file.name, range.clone()).await?;
            if self.source.checked(&file.name) {
                return Ok(bytes);
            }
            self.checks.set(false);
        }
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

/// A number that tells bytes from the same bytes damaged, though not from others made to have it. Every step of it can be undone,
/// so that no single change of a word goes unseen.
fn sum(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut sums = [ODD; 4];
    let mut lines = bytes.chunks_exact(32);
    for line in &mut lines {
        for (sum, word) in sums.iter_mut().zip(line.chunks_exact(8)) {
            let word: u64 = bytemuck::pod_read_unaligned(word);
            *sum = (*sum ^ word).wrapping_mul(ODD).rotate_left(29);
        }
    }
    let rest =
        lines.remainder().iter().fold(bytes.len() as u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(ODD));
    sums.iter().fold(rest, |all, sum| (all ^ sum).wrapping_mul(ODD).rotate_left(29))
}

/// Bytes as digits of sixteen, in lower case, as hashes are written.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
