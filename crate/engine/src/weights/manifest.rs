//! `moebius.json`: the manifest of a pack, version 1.
//!
//! A pack is a folder of the model's own small files (configuration, tokenizer, template), kept byte for byte, of
//! *shards* that are standard safetensors files of at most 24 MiB (more only where a single expert is larger), and of
//! this manifest, which says where every tensor lies, so that no shard's header needs to be read.
//!
//! - A matrix is one or more *pieces* of whole rows, so that it can go over several shards. A piece in a format without
//!   scales is one tensor, else one of weights and one of scales.
//! - A routed expert is one tensor of 32-bit words: its *record*, exactly as kernels read it ([`ExpertLayout`]).
//! - Shards have experts in order of *heat*, how many tokens of a text chose each, where that was measured: the first to be fetched.
//! - It may have a *prefix*: the tokens of a system prompt, and what layers keep of them ([`PrefixAt`]).
//! - Every byte of every file lies in one *chunk* with a SHA-256. A chunk is at most 8 MiB, of packs that are written now 1 MiB, and
//!   holds no bytes of two experts: an expert is what is downloaded, checked and kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::format::Format;
use crate::weights::names::{check_file, shown};
use crate::weights::planes::row_bytes;
use crate::weights::{ExpertLayout, PrefixAt};

/// Name of the manifest's file.
pub const MANIFEST: &str = "moebius.json";
/// The version this engine reads and writes.
pub const VERSION: u32 = 1;
/// Largest chunk in bytes.
pub const CHUNK: u64 = 8 << 20;
/// Largest chunk that is written: a loader holds several on their way.
pub const WRITTEN: u64 = 1 << 20;
/// Largest shard in bytes, but for one that holds a single larger expert: what every static host takes.
pub const SHARD: u64 = 24 << 20;
/// Most experts of a layer and most files, against manifests that are bombs.
const MANY: usize = 65_536;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format: 1.
    pub moebius: u32,
    /// Precision it was packed at, as on the command line.
    pub precision: String,
    /// The model's small files, `config.json` among them.
    pub files: Vec<File>,
    /// The shards.
    pub shards: Vec<File>,
    /// Every tensor but the experts, by the name it has in the family's checkpoints.
    pub tensors: BTreeMap<String, TensorAt>,
    /// Routed experts of each layer, by the name before the expert's number: `model.layers.3.mlp.experts`.
    pub experts: BTreeMap<String, ExpertTable>,
    /// A conversation's beginning that comes computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<PrefixAt>,
}

/// A file, cut into chunks without gaps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Name in the pack's folder.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Its chunks in order.
    pub chunks: Vec<Chunk>,
}

/// A run of a file's bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// Length.
    pub bytes: u64,
    /// SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

/// Where a tensor is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorAt {
    /// Format of its planes, by name.
    #[serde(serialize_with = "write_format", deserialize_with = "read_format")]
    pub format: Format,
    /// `[n]` or `[rows, cols]`.
    pub shape: Vec<u64>,
    /// Its pieces in order of rows.
    pub pieces: Vec<Piece>,
}

/// Whole rows of a tensor, in one shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// Index of the shard.
    pub shard: usize,
    /// Rows; 1 for a vector. Their scales fill whole words, but for the last piece.
    pub rows: u64,
    /// Where the weights start in the shard's file.
    pub weights: u64,
    /// Where the scales start; 0 for formats without.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub scales: u64,
}

/// The routed experts of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpertTable {
    /// Format of gate and up.
    #[serde(serialize_with = "write_format", deserialize_with = "read_format")]
    pub up: Format,
    /// Format of down.
    #[serde(serialize_with = "write_format", deserialize_with = "read_format")]
    pub down: Format,
    /// Hidden size.
    pub hidden: usize,
    /// Width of an expert.
    pub width: usize,
    /// Whether they have biases.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub biased: bool,
    /// Shard, and where the record starts in its file, of each expert.
    pub records: Vec<(usize, u64)>,
    /// How many tokens of a text chose each expert; empty where that was not measured. Who fetches them goes by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heat: Vec<u64>,
}

impl ExpertTable {
    /// Layout of the records.
    pub fn layout(&self) -> Result<ExpertLayout> {
        ExpertLayout::new(self.up, self.down, self.hidden, self.width, self.biased)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls; on wasm32 the lint is silent")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn write_format<S: Serializer>(format: &Format, s: S) -> std::result::Result<S::Ok, S::Error> {
    s.serialize_str(format.name())
}

fn read_format<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Format, D::Error> {
    let name = String::deserialize(d)?;
    let unknown = || serde::de::Error::custom(format!("\"{}\" is not a format", shown(&name)));
    Format::from_name(&name).ok_or_else(unknown)
}

impl Manifest {
    /// Reads and checks a manifest: sizes add up, and every tensor lies inside its shard.
    pub fn parse(json: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            moebius: u32,
        }
        let broken = |e: serde_json::Error| malformed("JSON", shown(&e.to_string()));
        let head: Head = serde_json::from_slice(json).map_err(broken)?;
        if head.moebius != VERSION {
            let what = format!("{MANIFEST} version {}", head.moebius);
            return Err(Error::Unsupported { what, missing: format!("this engine reads version {VERSION}") });
        }
        let manifest: Manifest = serde_json::from_slice(json).map_err(broken)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<()> {
        if self.files.len() + self.shards.len() > MANY {
            let value = (self.files.len() + self.shards.len()) as u64;
            return Err(Error::Limit { what: format!("files in {MANIFEST}"), value, limit: MANY as u64 });
        }
        for file in self.files.iter().chain(&self.shards) {
            check_file(MANIFEST, "name", &file.name)?;
            let mut sum = 0;
            for chunk in &file.chunks {
                if chunk.bytes == 0 || chunk.bytes > CHUNK {
                    return Err(malformed("chunks", format!("{}: a chunk of {} bytes", file.name, chunk.bytes)));
                }
                let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
                if chunk.sha256.len() != 64 || !chunk.sha256.bytes().all(hex) {
                    return Err(malformed("sha256", format!("{}: \"{}\"", file.name, shown(&chunk.sha256))));
                }
                sum += chunk.bytes;
            }
            if sum != file.bytes {
                let reason = format!("{}: chunks sum to {sum} bytes of {}", file.name, file.bytes);
                return Err(malformed("chunks", reason));
            }
        }
        self.prefix.as_ref().map_or(Ok(()), |prefix| prefix.check(&self.files))?;
        for (name, tensor) in &self.tensors {
            self.check_tensor(name, tensor)?;
        }
        for (name, table) in &self.experts {
            if table.records.len() > MANY {
                let value = table.records.len() as u64;
                return Err(Error::Limit { what: format!("records of {}", shown(name)), value, limit: MANY as u64 });
            }
            self.check_experts(name, table)?;
        }
        Ok(())
    }

    fn check_tensor(&self, name: &str, tensor: &TensorAt) -> Result<()> {
        let wrong = |reason: String| Error::tensor(MANIFEST, shown(name), reason);
        let (rows, cols) = match tensor.shape.as_slice() {
            [n] => (1, *n),
            [rows, cols] => (*rows, *cols),
            other => return Err(wrong(format!("shape {other:?} has not one or two dimensions"))),
        };
        if rows > 1 << 32 || cols > 1 << 32 {
            return Err(wrong(format!("shape {:?} is too large", tensor.shape)));
        }
        if !tensor.format.fits(cols as usize) {
            return Err(wrong(format!("{cols} columns in blocks of 32")));
        }
        let (weights, scales) = row_bytes(tensor.format, cols);
        let mut left = rows;
        for piece in &tensor.pieces {
            left = left.checked_sub(piece.rows).ok_or_else(|| wrong("pieces have too many rows".into()))?;
            let whole = piece.rows.wrapping_mul(scales).is_multiple_of(4);
            if piece.rows == 0 || (left > 0 && !whole) {
                return Err(wrong(format!("a piece of {} rows", piece.rows)));
            }
            self.inside(piece.shard, piece.weights, piece.rows.checked_mul(weights)).map_err(wrong)?;
            self.inside(piece.shard, piece.scales, piece.rows.checked_mul(scales)).map_err(wrong)?;
        }
        if left > 0 {
            return Err(wrong(format!("pieces have {} rows of {rows}", rows - left)));
        }
        Ok(())
    }

    fn check_experts(&self, name: &str, table: &ExpertTable) -> Result<()> {
        let wrong = |reason: String| Error::tensor(MANIFEST, shown(name), reason);
        for (format, cols) in [(table.up, table.hidden), (table.down, table.width)] {
            if !format.fits(cols) {
                return Err(wrong(format!("{cols} columns in blocks of 32")));
            }
        }
        let bytes = table.layout()?.bytes();
        for (shard, offset) in &table.records {
            self.inside(*shard, *offset, Some(bytes)).map_err(wrong)?;
        }
        if ![0, table.records.len()].contains(&table.heat.len()) {
            return Err(wrong(format!("heat of {} experts of {}", table.heat.len(), table.records.len())));
        }
        Ok(())
    }

    /// Refuses bytes outside a shard.
    fn inside(&self, shard: usize, offset: u64, bytes: Option<u64>) -> std::result::Result<(), String> {
        let file = self.shards.get(shard).ok_or_else(|| format!("shard {shard} of {}", self.shards.len()))?;
        let end = bytes.and_then(|b| offset.checked_add(b));
        if end.is_none_or(|end| end > file.bytes) {
            let length = bytes.map_or("too many".into(), |b| b.to_string());
            return Err(format!("{length} bytes at {offset} of {}, which has {}", file.name, file.bytes));
        }
        Ok(())
    }
}

fn malformed(field: &str, reason: String) -> Error {
    Error::Malformed { file: MANIFEST.into(), field: field.into(), reason }
}
