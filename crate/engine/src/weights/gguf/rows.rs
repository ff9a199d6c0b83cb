//! Rows of a GGUF's tensors in whatever format is wanted, put into the order that kernels and other files have.

use std::ops::Range;
use std::rc::Rc;

use super::fit::fit;
use super::kind::Reads;
use super::{Header, Kind, TensorInfo, blocks};
use crate::error::{Error, Result};
use crate::format::{BLOCK, Format};
use crate::source::Source;
use crate::weights::planes::{Planes, convert};
use crate::weights::{Part, Stored, Tensors};

/// Values decoded at a time: what they take as floats, and again as codes, stays far below 64 MiB.
const VALUES: u64 = 2 << 20;

/// Blocks of rows in a GGUF.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    /// What the file calls the tensor, for messages.
    pub(crate) name: Rc<str>,
    pub(crate) kind: &'static Kind,
    pub(crate) order: Order,
}

impl Blocks {
    /// Types of all that is read for them.
    fn all(&self) -> Vec<&'static Kind> {
        let beside = if let Order::Turns(other) = &self.order { other.blocks.as_ref() } else { None };
        [Some(self.kind), beside.map(|b| b.kind)].into_iter().flatten().collect()
    }
}

/// A tensor of a file.
pub(crate) struct Found<'a> {
    pub(crate) file: Rc<str>,
    pub(crate) name: Rc<str>,
    pub(crate) info: &'a TensorInfo,
}

/// In which order a file has the rows that are wanted.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    /// In this one.
    Rows,
    /// Heads of so many rows, each with the halves of its rotated pairs by turns, where they are wanted half by half.
    Heads(u64),
    /// As the columns of a matrix of so many rows.
    Across(u64),
    /// By turns with the rows of another tensor of the same shape: even ones from here, odd ones from there.
    Turns(Box<Part>),
}

/// Rows of a part of a tensor, which are `cols` wide.
pub(crate) struct Wanted {
    pub(crate) rows: Range<u64>,
    pub(crate) cols: u64,
    /// Whether it is a vector, whose one row is a column to what puts rows in order.
    pub(crate) vector: bool,
    pub(crate) target: Format,
}

impl Stored {
    /// A tensor of these parts, of which each has its blocks; formats that differ become one that holds them.
    pub(crate) fn of_blocks(shape: Vec<u64>, parts: Vec<Part>) -> Self {
        let all = || parts.iter().flat_map(|part| &part.blocks).flat_map(Blocks::all);
        let dtype =
            all().find(|kind| kind.format().is_none()).or_else(|| all().next()).map_or("nothing", |kind| kind.name);
        // Blocks that lie across the rows wanted are made anew, for which int8 would cost what it costs to quantise again.
        let across = |part: &Part| part.blocks.as_ref().is_some_and(|b| matches!(b.order, Order::Across(_)));
        let remade = parts.iter().any(across);
        let formats: Option<Vec<Format>> = all().map(Kind::format).collect();
        let format = formats.map(|formats| match formats.as_slice() {
            [first, rest @ ..] if rest.iter().all(|f| f == first) && !(remade && first.is_block()) => *first,
            all if !remade && all.iter().all(|f| f.is_block()) => Format::Q8,
            all if all.contains(&Format::F32) => Format::F32,
            _ => Format::F16,
        });
        Stored { dtype, format, shape, parts, pairs: false }
    }
}

impl Part {
    /// `rows` rows of a tensor from `first` on.
    pub(crate) fn of_gguf(found: &Found<'_>, first: u64, rows: u64, order: Order) -> Self {
        let Found { file, name, info } = found;
        let cols = info.shape.last().copied().unwrap_or(0);
        let weights = info.offset + first * info.kind.row(cols);
        let blocks = Some(Blocks { name: name.clone(), kind: info.kind, order });
        Part { file: file.clone(), scales_file: file.clone(), rows, weights, scales: 0, blocks }
    }
}

impl Header {
    /// The tensor of that name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }
}

impl Tensors<'_> {
    /// Rows of a part, as many of those wanted as are decoded at once.
    pub(crate) async fn blocks(&self, part: &Part, blocks: &Blocks, wanted: Wanted) -> Result<Planes> {
        let Wanted { mut rows, mut cols, vector, target } = wanted;
        if vector && !matches!(blocks.order, Order::Rows) {
            let column = Part { rows: cols, ..part.clone() };
            (rows, cols) = (0..cols, 1);
            let planes = self.ordered(&column, blocks, Wanted { rows, cols, vector, target: Format::F32 }).await?;
            return Ok(Planes { rows: 1, ..planes });
        }
        self.ordered(part, blocks, Wanted { rows, cols, vector, target }).await
    }

    async fn ordered(&self, part: &Part, blocks: &Blocks, wanted: Wanted) -> Result<Planes> {
        let Wanted { rows, cols, target, .. } = wanted;
        // A multiple of four, so that scales, of one byte at least, start on a word.
        let most = (VALUES / cols.max(1)).max(4) / 4 * 4;
        let rows = rows.start..rows.end.min(rows.start + most);
        let count = (rows.end - rows.start) as usize;
        let wrong = |reason: String| Error::tensor(&part.file, &blocks.name, reason);
        let floats = |values: Vec<f32>| {
            let weights = bytemuck::cast_slice(&values).to_vec();
            convert(Format::F32, target, Planes { rows: count, weights, scales: Vec::new() }, cols as usize)
                .map_err(wrong)
        };
        let kind = blocks.kind;
        match &blocks.order {
            Order::Rows => {
                let raw = self.raw(part, kind, rows, cols).await?;
                planes(kind, &raw, count, cols as usize, target).map_err(wrong)
            }
            Order::Heads(head) => {
                let whole = rows.start / head * head..rows.end.next_multiple_of(*head).min(part.rows);
                let raw = self.raw(part, kind, whole.clone(), cols).await?;
                let each = kind.row(cols) as usize;
                let mut turned = Vec::with_capacity(count * each);
                for row in rows {
                    let (first, i) = (row / head * head, row % head);
                    let from = first + i % (head / 2) * 2 + i / (head / 2) - whole.start;
                    turned.extend_from_slice(&raw[from as usize * each..][..each]);
                }
                planes(kind, &turned, count, cols as usize, target).map_err(wrong)
            }
            Order::Across(lines) => {
                let raw = self.raw(part, kind, 0..*lines, part.rows).await?;
                let values = values(kind, &raw, *lines as usize * part.rows as usize);
                let value = |row: u64, line: u64| values[(line * part.rows + row) as usize];
                floats(
                    rows.flat_map(|row| (0..cols).map(move |line| (row, line)))
                        .map(|(row, line)| value(row, line))
                        .collect(),
                )
            }
            Order::Turns(other) => {
                let Some(beside) = &other.blocks else { return Err(wrong("is not of blocks".into())) };
                let half = rows.start / 2..rows.end.div_ceil(2);
                let each = cols as usize;
                let mut lines = Vec::new();
                for (part, kind) in [(part, kind), (&**other, beside.kind)] {
                    let raw = self.raw(part, kind, half.clone(), cols).await?;
                    lines.push((kind, raw));
                }
                let at = |row: u64| ((row / 2 - half.start), (row % 2) as usize);
                if kind == beside.kind {
                    let bytes = kind.row(cols) as usize;
                    let line = |row| {
                        let (i, which) = at(row);
                        &lines[which].1[i as usize * bytes..][..bytes]
                    };
                    let turned: Vec<u8> = rows.flat_map(line).copied().collect();
                    return planes(kind, &turned, count, each, target).map_err(wrong);
                }
                let lines: Vec<Vec<f32>> = lines
                    .iter()
                    .map(|(kind, raw)| values(kind, raw, (half.end - half.start) as usize * each))
                    .collect();
                let line = |row| {
                    let (i, which) = at(row);
                    &lines[which][i as usize * each..][..each]
                };
                floats(rows.flat_map(line).copied().collect())
            }
        }
    }

    /// Bytes of these rows of a part.
    async fn raw(&self, part: &Part, kind: &Kind, rows: Range<u64>, cols: u64) -> Result<Vec<u8>> {
        let each = kind.row(cols);
        self.files.read(&part.file, part.weights + rows.start * each..part.weights + rows.end * each).await
    }
}

impl Kind {
    /// The values of whole blocks, in f32.
    #[must_use]
    pub fn values(&self, blocks: &[u8]) -> Vec<f32> {
        values(self, blocks, blocks.len() / self.bytes as usize * self.block as usize)
    }

    /// Whole blocks as one row in the planes of [`Kind::format`]; the error says what is wrong with them.
    pub fn planes(&self, blocks: &[u8]) -> std::result::Result<(Vec<u32>, Vec<u32>), String> {
        let format = self.format().ok_or_else(|| format!("{} is not read", self.name))?;
        let cols = blocks.len() / self.bytes as usize * self.block as usize;
        let planes = planes(self, blocks, 1, cols, format)?;
        Ok((bytemuck::pod_collect_to_vec(&planes.weights), bytemuck::pod_collect_to_vec(&planes.scales)))
    }
}

/// Rows of blocks as planes of a format. Where it is theirs, nothing is rounded.
fn planes(kind: &Kind, raw: &[u8], rows: usize, cols: usize, target: Format) -> std::result::Result<Planes, String> {
    match kind.reads() {
        Some(Reads::Plain(format)) => {
            let planes = Planes { rows, weights: raw.to_vec(), scales: Vec::new() };
            convert(format, target, planes, cols)
        }
        Some(Reads::Exact(format, split)) => {
            let codes = 4 * format.row_words(BLOCK);
            let scale = format.row_scales(BLOCK as u64) as usize;
            let blocks = raw.len() / kind.bytes as usize;
            let (mut weights, mut scales) = (vec![0; blocks * codes], vec![0; blocks * scale]);
            let places = weights.chunks_exact_mut(codes).zip(scales.chunks_exact_mut(scale));
            for (block, (codes, scale)) in raw.chunks_exact(kind.bytes as usize).zip(places) {
                split(block, codes, scale);
            }
            let (mut held, mut stored) = (Planes { rows, weights, scales }, format);
            if (format, target) == (Format::Q4, Format::Q8) {
                // The same numbers with the same scales.
                held.weights = held.weights.chunks_exact(codes).flat_map(widened).collect();
                stored = Format::Q8;
            }
            convert(stored, target, held, cols)
        }
        Some(Reads::Even(part)) if target == Format::Q8 => {
            let (mut weights, mut scales) = (vec![0; rows * cols], vec![0; rows * cols / BLOCK * 2]);
            let of = kind.block as usize / BLOCK;
            for (i, (codes, scale)) in weights.chunks_exact_mut(BLOCK).zip(scales.chunks_exact_mut(2)).enumerate() {
                let block = &raw[i / of * kind.bytes as usize..][..kind.bytes as usize];
                fit(&part(block, i % of), codes, scale);
            }
            convert(Format::Q8, target, Planes { rows, weights, scales }, cols)
        }
        _ => {
            let values = values(kind, raw, rows * cols);
            let weights = bytemuck::cast_slice(&values).to_vec();
            convert(Format::F32, target, Planes { rows, weights, scales: Vec::new() }, cols)
        }
    }
}

/// The codes of an int4 block as an int8 block's.
fn widened(codes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let nibbles = codes.iter().map(|b| b & 15).chain(codes.iter().map(|b| b >> 4));
    nibbles.map(|four| four.wrapping_sub(8))
}

/// Decodes blocks one by one.
fn each(kind: &Kind, raw: &[u8], out: &mut [f32], decode: impl Fn(&[u8], &mut [f32])) {
    for (block, out) in raw.chunks_exact(kind.bytes as usize).zip(out.chunks_exact_mut(kind.block as usize)) {
        decode(block, out);
    }
}

/// `count` values of blocks.
fn values(kind: &Kind, raw: &[u8], count: usize) -> Vec<f32> {
    let mut out = vec![0.0; count];
    match kind.reads() {
        Some(Reads::Rounded(decode)) => each(kind, raw, &mut out, decode),
        Some(Reads::Even(part)) => each(kind, raw, &mut out, |block, out| blocks::even(part, block, out)),
        // As one row. What is not finite comes out as not finite, and is refused by whoever asked.
        Some(Reads::Plain(_) | Reads::Exact(..)) => {
            return match planes(kind, raw, 1, count, Format::F32) {
                Ok(planes) => bytemuck::pod_collect_to_vec(&planes.weights),
                Err(_) => vec![f32::NAN; count],
            };
        }
        None => out.fill(f32::NAN),
    }
    out
}
