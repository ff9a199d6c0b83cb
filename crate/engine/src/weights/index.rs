//! Where every tensor of a model lies: one safetensors file, shards with an index, or a pack.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::format::Format;
use crate::gather::gather;
use crate::source::Source;
use crate::weights::gguf::Blocks;
use crate::weights::names::{check_file, shown};
use crate::weights::safetensors::{self, TensorInfo};
use crate::weights::verified::Verified;
use crate::weights::{ExpertTable, MANIFEST, Manifest};

/// Name of a single weights file.
const SINGLE: &str = "model.safetensors";
/// Name of the index of several.
const SHARDED: &str = "model.safetensors.index.json";
/// Largest index in bytes.
const INDEX: u64 = 32 << 20;
/// Most weight files of an index; the largest public model has 163.
const FILES: usize = 4096;

/// A tensor in files.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Name of its element type in the file.
    pub dtype: &'static str,
    /// Its format; `None` for element types that cannot be weights here.
    pub format: Option<Format>,
    /// Shape.
    pub shape: Vec<u64>,
    /// Its pieces in order of rows.
    pub parts: Vec<Part>,
    /// Of MXFP4: neighbouring columns share a byte.
    pub pairs: bool,
}

/// Whole rows of a tensor, in one file but perhaps for their scales.
#[derive(Clone, Debug)]
pub struct Part {
    /// The file.
    pub file: Rc<str>,
    /// Rows; 1 for a vector.
    pub rows: u64,
    /// Where the weights start in the file.
    pub weights: u64,
    /// Where the scales start; 0 for formats without.
    pub scales: u64,
    /// The file that has them.
    pub scales_file: Rc<str>,
    /// How a GGUF has them, if it is one.
    pub(crate) blocks: Option<Blocks>,
}

/// An expert's record in a pack.
#[derive(Clone, Debug)]
pub struct RecordAt {
    /// The file.
    pub file: Rc<str>,
    /// Where it starts.
    pub offset: u64,
}

/// Every tensor of a model.
#[derive(Default)]
pub struct Index {
    /// Name of the file that lists the tensors, for messages.
    pub file: String,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Stored>,
    /// Experts of each layer, in a pack.
    pub experts: BTreeMap<String, ExpertTable>,
    /// Names of a pack's shards.
    shards: Vec<Rc<str>>,
}

impl Stored {
    /// Rows and columns; a vector is one row.
    #[must_use]
    pub fn sizes(&self) -> (u64, u64) {
        match self.shape.as_slice() {
            [n] => (1, *n),
            [rows, cols] => (*rows, *cols),
            _ => (0, 0),
        }
    }

    /// Bytes in the files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes_of(0..self.sizes().0)
    }
}

/// Whether `file` is there.
pub(crate) async fn exists(source: &dyn Source, file: &str) -> Result<bool> {
    match source.size(file).await {
        Ok(_) => Ok(true),
        Err(Error::File { .. }) => Ok(false),
        Err(other) => Err(other),
    }
}

impl Index {
    /// Reads whatever lists the tensors.
    pub(crate) async fn read(files: &Verified<'_>) -> Result<Self> {
        if let Some(manifest) = &files.manifest {
            return Ok(Index::packed(manifest));
        }
        if exists(files, SHARDED).await? {
            return Index::sharded(files).await;
        }
        if !exists(files, SINGLE).await? {
            let reason = format!("no such file, nor {SHARDED}, nor {MANIFEST}");
            return Err(Error::File { file: SINGLE.into(), reason });
        }
        let file: Rc<str> = SINGLE.into();
        let header = safetensors::read(files, SINGLE).await?;
        let tensors = gather(header.into_iter().map(|(name, info)| (name, stored(&file, info))));
        Ok(Index { file: SINGLE.into(), tensors, ..Index::default() })
    }

    /// Several files: each tensor from the file that the index gives it.
    async fn sharded(source: &dyn Source) -> Result<Self> {
        #[derive(Deserialize)]
        struct Listing {
            weight_map: BTreeMap<String, String>,
        }
        let malformed =
            |field: &str, reason: String| Error::Malformed { file: SHARDED.into(), field: field.into(), reason };
        let json = source.read_all(SHARDED, INDEX).await?;
        let listing: Listing =
            serde_json::from_slice(&json).map_err(|e| malformed("weight_map", shown(&e.to_string())))?;
        let files: BTreeSet<&String> = gather(listing.weight_map.values());
        if files.len() > FILES {
            let value = files.len() as u64;
            return Err(Error::Limit { what: format!("files in {SHARDED}"), value, limit: FILES as u64 });
        }
        let mut tensors = BTreeMap::new();
        for file in files {
            check_file(SHARDED, "weight_map", file)?;
            let shared: Rc<str> = file.as_str().into();
            for (name, info) in safetensors::read(source, file).await? {
                if listing.weight_map.get(&name) == Some(file) {
                    tensors.insert(name, stored(&shared, info));
                }
            }
        }
        if let Some((name, file)) = listing.weight_map.iter().find(|(name, _)| !tensors.contains_key(*name)) {
            return Err(Error::tensor(file, shown(name), format!("is not in the file that {SHARDED} names")));
        }
        Ok(Index { file: SHARDED.into(), tensors, ..Index::default() })
    }

    /// These tensors, of which `file` has the first.
    pub(crate) fn of(file: String, tensors: BTreeMap<String, Stored>) -> Self {
        Index { file, tensors, ..Index::default() }
    }

    /// A pack, from its checked manifest.
    fn packed(manifest: &Manifest) -> Self {
        let shards: Vec<Rc<str>> = manifest.shards.iter().map(|s| s.name.as_str().into()).collect();
        let mut tensors = BTreeMap::new();
        for (name, at) in &manifest.tensors {
            let part = |p: &crate::weights::Piece| Part {
                file: shards[p.shard].clone(),
                scales_file: shards[p.shard].clone(),
                rows: p.rows,
                weights: p.weights,
                scales: p.scales,
                blocks: None,
            };
            let parts = at.pieces.iter().map(part).collect();
            let (dtype, format) = (at.format.name(), Some(at.format));
            tensors.insert(name.clone(), Stored { dtype, format, shape: at.shape.clone(), parts, pairs: false });
        }
        Index { file: MANIFEST.into(), tensors, experts: manifest.experts.clone(), shards }
    }

    /// The tensor `name` of exactly this shape, in a format that can be read.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<(&Stored, Format)> {
        let wanted: Vec<u64> = shape.iter().map(|d| *d as u64).collect();
        let missing = || Error::tensor(&self.file, name, format!("is missing; the model needs it as {wanted:?}"));
        let stored = self.tensors.get(name).ok_or_else(missing)?;
        let file = stored.parts.first().map_or(self.file.as_str(), |p| &p.file);
        if stored.shape != wanted {
            let reason = format!("has shape {:?}, the configuration asks for {wanted:?}", stored.shape);
            return Err(Error::tensor(file, name, reason));
        }
        let reason =
            || format!("has type {}; weights are F32, F16, BF16, F8_E4M3 or blocks of at least two bits", stored.dtype);
        let format = stored.format.ok_or_else(|| Error::tensor(file, name, reason()))?;
        self.tiles(name, stored)?;
        Ok((stored, format))
    }

    /// The vector `name` of exactly this length, which files may also have as a single row.
    pub fn vector(&self, name: &str, len: usize) -> Result<&Stored> {
        let row = self.tensors.get(name).is_some_and(|stored| stored.shape == [1, len as u64]);
        let shape: &[usize] = if row { &[1, len] } else { &[len] };
        self.tensor(name, shape).map(|(stored, _)| stored)
    }

    /// The record of expert `i` of the layer whose experts are called `prefix`, in a pack.
    #[must_use]
    pub fn record(&self, prefix: &str, i: usize) -> Option<RecordAt> {
        let (shard, offset) = self.experts.get(prefix)?.records.get(i)?;
        Some(RecordAt { file: self.shards.get(*shard)?.clone(), offset: *offset })
    }
}

fn stored(file: &Rc<str>, info: TensorInfo) -> Stored {
    let rows = if let [rows, _] = info.shape.as_slice() { *rows } else { 1 };
    let part =
        Part { file: file.clone(), scales_file: file.clone(), rows, weights: info.offset, scales: 0, blocks: None };
    Stored { dtype: info.dtype.name, format: info.dtype.format(), shape: info.shape, parts: vec![part], pairs: false }
}
