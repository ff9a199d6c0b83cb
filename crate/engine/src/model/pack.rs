//! Packing: from a checkpoint to a folder of shards that can be streamed expert by expert.
//!
//! Two passes: one over the list of tensors, which decides what lies where, and one over their bytes, a few rows or one
//! expert at a time. The manifest is written last, so a pack that was cut off is not believed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::format::Format;
use crate::model::chosen::{Choice, Chosen};
use crate::model::files::TEXTS;
use crate::model::gguf;
use crate::model::load::{CONFIG, open, read_model};
use crate::model::needs::needs;
use crate::model::{Fallback, Heat, Prefix, Progress, Stage, prefix};
use crate::source::Source;
use crate::weights::{
    CHUNK, Entry, ExpertLayout, ExpertTable, Group, MANIFEST, Manifest, Piece, Precision, PrefixAt, SHARD, Sink,
    TensorAt, Tensors, VERSION, WRITTEN, Writer, exists, header, row_bytes,
};

/// Files that a copy of a model must keep, and their largest size in bytes.
const LICENCES: [(&str, u64); 3] = [("LICENSE", 1 << 20), ("LICENSE.txt", 1 << 20), ("NOTICE", 1 << 20)];

/// Packs the model in `source` into `sink` at a precision, its experts in order of `heat`, which may be empty, and with a
/// beginning of conversations, computed at that precision. A pack can be packed again as it is, but for its beginning. The manifest that was written, and matrices that fell back.
pub async fn pack(
    source: &dyn Source,
    precision: Precision,
    (heat, opening): (&Heat, Option<&Prefix>),
    sink: &mut dyn Sink,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Manifest, Vec<Fallback>)> {
    let folder = gguf::folder(Rc::new(source)).await?;
    let packed = folder.manifest.as_ref().map(|manifest| manifest.precision.clone());
    let (spec, _) = read_model(&folder).await?;
    let tensors = open(folder, &spec).await?;
    let choice = Choice::new(&tensors.index, needs(&spec), precision)?;
    let mut writer = Writer::new(sink);
    for (name, limit) in [(CONFIG, 4 << 20)].into_iter().chain(TEXTS).chain(LICENCES) {
        if exists(&tensors.files, name).await? {
            writer.file(name, &tensors.files.read_all(name, limit).await?).await?;
        }
    }
    if let Some(opening) = opening {
        writer.file(prefix::FILE, opening.bytes()).await?;
    }
    let files = std::mem::take(&mut writer.files);
    let at = |p: &Prefix| PrefixAt { system: p.system.clone(), tokens: p.tokens.clone(), file: prefix::FILE.into() };
    let mut manifest = Manifest {
        moebius: VERSION,
        precision: packed.unwrap_or_else(|| precision.name().into()),
        files,
        shards: Vec::new(),
        tensors: BTreeMap::new(),
        experts: BTreeMap::new(),
        prefix: opening.map(at),
    };
    let shards = shards(&choice.list, heat);
    let mut done = 0;
    for (number, shard) in shards.iter().enumerate() {
        let head = header(shard.iter().flat_map(|item| &item.entries));
        let bytes = head.len() as u64 + shard.iter().map(Item::bytes).sum::<u64>();
        writer.begin(&format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len()), bytes).await?;
        writer.write(&head).await?;
        let mut at = head.len() as u64;
        for item in shard {
            note(&mut manifest, item, heat, number, at);
            at += item.bytes();
            let mut on_read = |bytes| {
                done += bytes;
                progress(Progress { stage: item.stage(), done, total: choice.stored });
            };
            item.write(&tensors, &mut writer, &mut on_read).await?;
        }
        writer.end().await?;
    }
    manifest.shards = std::mem::take(&mut writer.files);
    let json = serde_json::to_vec(&manifest).map_err(|e| Error::Malformed {
        file: MANIFEST.into(),
        field: "JSON".into(),
        reason: e.to_string(),
    })?;
    writer.file(MANIFEST, &json).await?;
    Ok((manifest, choice.fallbacks))
}

/// Something written in one go, and in one chunk if it fits: whole rows of a tensor, or an expert.
struct Item<'a> {
    what: What<'a>,
    /// Its tensors in the shard.
    entries: Vec<Entry>,
}

enum What<'a> {
    /// This many rows from `first` on.
    Rows { plain: Plain<'a>, first: u64, rows: u64 },
    /// The expert of this number in its group.
    Expert { group: &'a Group, i: usize, layout: &'a ExpertLayout },
}

impl Item<'_> {
    fn bytes(&self) -> u64 {
        self.entries.iter().map(|e| e.bytes).sum()
    }

    /// What it adds to a shard at most.
    fn room(&self) -> u64 {
        self.bytes() + self.entries.iter().map(|e| e.name.len() as u64 + Entry::HEADER).sum::<u64>()
    }

    fn stage(&self) -> Stage {
        if matches!(self.what, What::Expert { .. }) { Stage::Experts } else { Stage::Trunk }
    }

    async fn write(&self, tensors: &Tensors<'_>, writer: &mut Writer<'_>, on_read: &mut dyn FnMut(u64)) -> Result<()> {
        match &self.what {
            What::Expert { group, i, layout } => {
                let record = tensors.record(group, *i, layout, on_read).await?;
                // No chunk has bytes of two experts.
                writer.cut(WRITTEN);
                writer.write(&record).await?;
                writer.cut(WRITTEN);
            }
            What::Rows { plain, first, rows } => {
                writer.cut(self.bytes());
                let stored = match plain.shape.as_slice() {
                    [len] => tensors.index.vector(plain.name, *len)?,
                    shape => tensors.index.tensor(plain.name, shape)?.0,
                };
                let (mut row, mut scales) = (*first, Vec::new());
                while row < first + rows {
                    let planes = tensors.rows(plain.name, stored, row, first + rows - row, plain.format).await?;
                    row += planes.rows as u64;
                    let (weights, part) = planes.into_stored(plain.format, plain.cols);
                    writer.write(&weights).await?;
                    scales.extend_from_slice(&part);
                }
                writer.write(&scales).await?;
                on_read(stored.bytes_of(*first..first + rows));
            }
        }
        Ok(())
    }
}

/// A tensor that is not an expert.
#[derive(Clone)]
struct Plain<'a> {
    name: &'a str,
    shape: Vec<usize>,
    rows: usize,
    cols: usize,
    format: Format,
}

/// Everything in order of loading, cut into shards. Experts start a shard of their own, the hottest first: the trunk is fetched
/// whole.
fn shards<'a>(list: &'a [Chosen], heat: &Heat) -> Vec<Vec<Item<'a>>> {
    let mut shards: Vec<Vec<Item<'_>>> = Vec::new();
    let (mut room, mut experts) = (0, false);
    let mut all: Vec<Item<'_>> = list.iter().flat_map(items).collect();
    // The trunk is what cannot be missed; what is equally hot stays in order.
    all.sort_by_key(|item| match &item.what {
        What::Rows { .. } => None,
        What::Expert { group, i, .. } => Some(Reverse(heat.get(&group.prefix).and_then(|of| of.get(*i)).copied())),
    });
    for item in all {
        let wanted = item.room();
        let turns = !experts && item.stage() == Stage::Experts;
        experts |= turns;
        match shards.last_mut() {
            Some(shard) if !turns && wanted <= room => {
                shard.push(item);
                room -= wanted;
            }
            _ => {
                shards.push(vec![item]);
                // Sixteen bytes are the header's length and padding.
                room = SHARD.saturating_sub(16 + wanted);
            }
        }
    }
    shards
}

/// Tensors cut into runs of rows of at most a chunk, or experts one by one.
fn items(chosen: &Chosen) -> Vec<Item<'_>> {
    match chosen {
        Chosen::Vector { parts } => {
            let plain = |name, cols| Plain { name, shape: vec![cols], rows: 1, cols, format: Format::F32 };
            parts.iter().flat_map(|(name, len)| runs(&plain(name, *len))).collect()
        }
        // Tensors keep their own names and places, whatever stands above what on a device.
        Chosen::Matrix { parts, cols, format, .. } => {
            let cols = *cols;
            let plain = |name, rows| Plain { name, shape: vec![rows, cols], rows, cols, format: *format };
            parts.iter().flat_map(|(name, rows)| runs(&plain(name, *rows))).collect()
        }
        Chosen::Experts { group, layout, .. } => {
            let expert = |i| {
                let (name, shape) = (format!("{}.{i}.record", group.prefix), vec![layout.stride as u64]);
                let entries = vec![Entry { name, dtype: "U32", shape, bytes: layout.bytes() }];
                Item { what: What::Expert { group, i, layout }, entries }
            };
            (0..group.all()).map(expert).collect()
        }
    }
}

/// A tensor in runs of rows.
fn runs<'a>(plain: &Plain<'a>) -> Vec<Item<'a>> {
    let (weights, scales) = row_bytes(plain.format, plain.cols as u64);
    let (all, most) = (plain.rows as u64, (CHUNK / (weights + scales).max(1)).max(4) / 4 * 4);
    let mut items = Vec::new();
    let mut first = 0;
    while first < all {
        let rows = most.min(all - first);
        let part = if all > most { format!(".rows.{first}") } else { String::new() };
        let entries = entries(plain, rows, &part);
        items.push(Item { what: What::Rows { plain: plain.clone(), first, rows }, entries });
        first += rows;
    }
    items
}

/// The tensors of some rows: values, or words and scales.
fn entries(plain: &Plain<'_>, rows: u64, part: &str) -> Vec<Entry> {
    let (weights, scales) = row_bytes(plain.format, plain.cols as u64);
    let (dtype, cols) = match plain.format {
        Format::F32 => ("F32", plain.cols),
        Format::F16 => ("F16", plain.cols),
        Format::Bf16 => ("BF16", plain.cols),
        Format::Fp8 => ("F8_E4M3", plain.cols),
        Format::Q8 | Format::Q4 | Format::Mxfp4 => ("U32", plain.format.row_words(plain.cols)),
    };
    let (scale, bytes) = match plain.format {
        Format::Fp8 => ("F32", 4),
        Format::Mxfp4 => ("F8_E8M0", 1),
        _ => ("F16", 2),
    };
    let shape = |cols: usize| if plain.shape.len() == 1 { vec![cols as u64] } else { vec![rows, cols as u64] };
    let name = format!("{}{part}", plain.name);
    let mut entries = vec![Entry { name, dtype, shape: shape(cols), bytes: rows * weights }];
    if scales > 0 {
        let name = format!("{}_scale{part}", plain.name);
        entries.push(Entry { name, dtype: scale, shape: shape(scales as usize / bytes), bytes: rows * scales });
    }
    entries
}

/// Notes in the manifest where an item lies.
fn note(manifest: &mut Manifest, item: &Item<'_>, heat: &Heat, shard: usize, at: u64) {
    match &item.what {
        What::Expert { group, i, layout } => {
            let Group { prefix, hidden, width, biased, .. } = group;
            let (up, down, records) = (layout.up_format, layout.down_format, vec![(0, 0); group.all()]);
            let heat = heat.get(prefix).cloned().unwrap_or_default();
            let empty = ExpertTable { up, down, hidden: *hidden, width: *width, biased: *biased, records, heat };
            manifest.experts.entry(prefix.clone()).or_insert(empty).records[*i] = (shard, at);
        }
        What::Rows { plain, rows, .. } => {
            let scales = if item.entries.len() == 2 { at + item.entries[0].bytes } else { 0 };
            let shape = plain.shape.iter().map(|d| *d as u64).collect();
            let empty = TensorAt { format: plain.format, shape, pieces: Vec::new() };
            let pieces = &mut manifest.tensors.entry(plain.name.into()).or_insert(empty).pieces;
            pieces.push(Piece { shard, rows: *rows, weights: at, scales });
        }
    }
}
