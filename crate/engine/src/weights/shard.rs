//! Writing a pack's files: safetensors headers, and a hash for every chunk as its bytes go by.

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::weights::verified::hex;
use crate::weights::{Chunk, File, WRITTEN};

/// Where packed files go, one after another.
#[async_trait(?Send)]
pub trait Sink {
    /// Starts a file of exactly `bytes` bytes. The one before it is complete.
    async fn begin(&mut self, name: &str, bytes: u64) -> Result<()>;

    /// Appends to the file.
    async fn write(&mut self, data: &[u8]) -> Result<()>;

    /// Completes the file.
    async fn end(&mut self) -> Result<()>;
}

/// One tensor of a shard.
pub(crate) struct Entry {
    /// Name.
    pub(crate) name: String,
    /// Name of its element type.
    pub(crate) dtype: &'static str,
    /// Shape.
    pub(crate) shape: Vec<u64>,
    /// Bytes.
    pub(crate) bytes: u64,
}

impl Entry {
    /// Bytes it takes at most in a header, beside its name: type, four numbers of 20 digits, and punctuation.
    pub(crate) const HEADER: u64 = 160;
}

/// Length and JSON of a safetensors header, padded with spaces so that data starts at a multiple of eight.
pub(crate) fn header<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<u8> {
    let (mut map, mut offset) = (serde_json::Map::new(), 0);
    for e in entries {
        let end = offset + e.bytes;
        let value = serde_json::json!({ "dtype": e.dtype, "shape": e.shape, "data_offsets": [offset, end] });
        map.insert(e.name.clone(), value);
        offset = end;
    }
    let mut json = serde_json::Value::Object(map).to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut out = (json.len() as u64).to_le_bytes().to_vec();
    out.append(&mut json);
    out
}

/// Writes files to a sink and keeps the hashes of their chunks.
pub(crate) struct Writer<'a> {
    sink: &'a mut dyn Sink,
    /// Files completed.
    pub(crate) files: Vec<File>,
    chunks: Vec<Chunk>,
    hash: Sha256,
    /// Bytes in the chunk so far.
    filled: u64,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(sink: &'a mut dyn Sink) -> Self {
        Writer { sink, files: Vec::new(), chunks: Vec::new(), hash: Sha256::new(), filled: 0 }
    }

    /// Starts a file.
    pub(crate) async fn begin(&mut self, name: &str, bytes: u64) -> Result<()> {
        self.files.push(File { name: name.into(), bytes, chunks: Vec::new() });
        self.sink.begin(name, bytes).await
    }

    /// Ends the chunk here, unless it is empty or `next` more bytes still fit.
    pub(crate) fn cut(&mut self, next: u64) {
        if self.filled > 0 && self.filled + next > WRITTEN {
            let sha256 = hex(&self.hash.finalize_reset());
            self.chunks.push(Chunk { bytes: std::mem::take(&mut self.filled), sha256 });
        }
    }

    /// Appends bytes; a chunk that is full ends.
    pub(crate) async fn write(&mut self, data: &[u8]) -> Result<()> {
        let mut left = data;
        while !left.is_empty() {
            self.cut(1);
            let (now, later) = left.split_at(left.len().min((WRITTEN - self.filled) as usize));
            self.hash.update(now);
            self.filled += now.len() as u64;
            left = later;
        }
        self.sink.write(data).await
    }

    /// Completes the file.
    pub(crate) async fn end(&mut self) -> Result<()> {
        self.cut(WRITTEN);
        if let Some(file) = self.files.last_mut() {
            file.chunks = std::mem::take(&mut self.chunks);
        }
        self.sink.end().await
    }

    /// Writes a whole small file.
    pub(crate) async fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.begin(name, bytes.len() as u64).await?;
        self.write(bytes).await?;
        self.end().await
    }
}
