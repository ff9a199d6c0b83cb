//! From files to a device, a few rows or one expert at a time: memory stays small whatever the size of a tensor.

use crate::device::{Buffer, Device};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::source::Source;
use crate::weights::planes::{Planes, convert, finite};
use crate::weights::{ExpertLayout, Matrix, Tensors};

/// Told how many bytes of the files were used.
pub(crate) type OnRead<'a> = &'a mut dyn FnMut(u64);

impl Tensors<'_> {
    /// Fills a matrix with tensors above each other, each a name and its rows.
    pub(crate) async fn matrix(
        &self,
        device: &dyn Device,
        parts: &[(String, usize)],
        matrix: &Matrix,
        on_read: OnRead<'_>,
    ) -> Result<()> {
        let Matrix { format: target, cols, weights, scales, .. } = matrix;
        let (target, cols) = (*target, *cols);
        let row_scales = target.row_scales(cols as u64) as usize;
        // Scales are parts of words: what does not fill one waits for the next rows.
        let (mut weights_at, mut scales_at, mut waiting) = (0, 0, Vec::new());
        for (name, rows) in parts {
            let (stored, _) = self.index.tensor(name, &[*rows, cols])?;
            let mut row = 0;
            while row < *rows as u64 {
                let planes = self.rows(name, stored, row, u64::MAX, target).await?;
                device.write(weights, weights_at, &planes.weights)?;
                weights_at += planes.weights.len() as u64;
                waiting.extend_from_slice(&planes.scales[..planes.rows * row_scales]);
                let whole = waiting.len() / 4 * 4;
                device.write(scales, scales_at, &waiting[..whole])?;
                scales_at += whole as u64;
                waiting.drain(..whole);
                on_read(stored.bytes_of(row..row + planes.rows as u64));
                row += planes.rows as u64;
            }
        }
        if !waiting.is_empty() {
            waiting.resize(4, 0);
            device.write(scales, scales_at, &waiting)?;
        }
        Ok(())
    }

    /// Fills a vector of `len` floats, in f32.
    pub(crate) async fn vector(
        &self,
        device: &dyn Device,
        name: &str,
        len: usize,
        vector: &Buffer,
        on_read: OnRead<'_>,
    ) -> Result<()> {
        let (stored, _) = self.index.tensor(name, &[len])?;
        let planes = self.rows(name, stored, 0, u64::MAX, Format::F32).await?;
        device.write(vector, 0, &planes.weights)?;
        on_read(stored.bytes());
        Ok(())
    }

    /// The record of expert `i` of a layer, in words as bytes: from a pack as it is, else put together from the expert's gate,
    /// up and down matrices, which of a shared one are parts of larger ones.
    pub(crate) async fn record(
        &self,
        group: &Group<'_>,
        i: usize,
        layout: &ExpertLayout,
        on_read: OnRead<'_>,
    ) -> Result<Vec<u8>> {
        let Group { prefix, count, shared, hidden, width } = *group;
        if let Some(at) = self.index.record(prefix, i) {
            let record = self.files.read(&at.file, at.offset..at.offset + layout.bytes()).await?;
            if !record_finite(layout, &record) {
                let reason = "has a value or a scale that is infinite or not a number";
                return Err(Error::tensor(&at.file, format!("{prefix}.{i}"), reason));
            }
            on_read(layout.bytes());
            return Ok(record);
        }
        let mut record = Vec::new();
        let short = |_| Error::Device(format!("no memory for {prefix}.{i}: {} bytes", layout.bytes()));
        record.try_reserve_exact(layout.bytes() as usize).map_err(short)?;
        record.resize(layout.bytes() as usize, 0);
        let (up, down) = (layout.up_format, layout.down_format);
        let (name, part, parts) = match i.checked_sub(count) {
            None => (format!("{prefix}.{i}"), 0, 1),
            Some(part) => (shared_experts(prefix), part, shared),
        };
        let up_place = |phase| Place { format: up, weights: 0, scales: layout.up_scales, step: 2, phase };
        let (rows, columns) = ([width, hidden], [hidden, width]);
        let (weights, scales) = (layout.down_weights, layout.down_scales);
        let down_place = Place { format: down, weights, scales, step: 1, phase: 0 };
        for (role, shape, place, of) in [
            ("gate_proj", rows, up_place(0), [part, 0]),
            ("up_proj", rows, up_place(1), [part, 0]),
            ("down_proj", columns, down_place, [0, part]),
        ] {
            let whole = if role == "down_proj" { [hidden, parts * width] } else { [parts * width, hidden] };
            let name = format!("{name}.{role}.weight");
            let bytes = self.place(&name, whole, (of, shape), &place, &mut record).await?;
            on_read(bytes / parts as u64);
        }
        Ok(record)
    }

    /// Spreads a part of a matrix, the one of number `of` down and across of those of `shape`, over a record. The bytes of the
    /// whole matrix in the files.
    async fn place(
        &self,
        name: &str,
        whole: [usize; 2],
        (of, [rows, cols]): ([usize; 2], [usize; 2]),
        place: &Place,
        record: &mut [u8],
    ) -> Result<u64> {
        let (stored, _) = self.index.tensor(name, &whole)?;
        let (row_weights, row_scales) =
            (4 * place.format.row_words(cols), place.format.row_scales(cols as u64) as usize);
        let (all_weights, all_scales) =
            (4 * place.format.row_words(whole[1]), place.format.row_scales(whole[1] as u64) as usize);
        // Where scales would stand for more columns than those wanted, the columns are cut out as floats first.
        let whole_rows = cols == whole[1] || place.format.cuts(cols);
        let (read_as, across) = if whole_rows { (place.format, of[1]) } else { (Format::F32, 0) };
        let mut first = 0;
        while first < rows {
            let (from, most) = (of[0] * rows + first, rows - first);
            let mut planes = self.rows(name, stored, from as u64, most as u64, read_as).await?;
            let (mut line_weights, mut line_scales) = (all_weights, all_scales);
            if !whole_rows {
                let lines = planes.weights.chunks_exact(4 * whole[1]);
                let cut = lines.flat_map(|line| &line[4 * of[1] * cols..][..4 * cols]).copied().collect();
                let cut = Planes { rows: planes.rows, weights: cut, scales: Vec::new() };
                let wrong = |reason| Error::tensor(&self.index.file, name, reason);
                planes = convert(Format::F32, place.format, cut, cols).map_err(wrong)?;
                (line_weights, line_scales) = (row_weights, row_scales);
            }
            for r in 0..planes.rows {
                let to = (first + r) * place.step + place.phase;
                record[4 * place.weights + to * row_weights..][..row_weights]
                    .copy_from_slice(&planes.weights[r * line_weights + across * row_weights..][..row_weights]);
                record[4 * place.scales + to * row_scales..][..row_scales]
                    .copy_from_slice(&planes.scales[r * line_scales + across * row_scales..][..row_scales]);
            }
            first += planes.rows;
        }
        Ok(stored.bytes())
    }
}

/// Name of the MLP that a layer's shared experts are together, beside the routed ones called `prefix`.
pub(crate) fn shared_experts(prefix: &str) -> String {
    format!("{}shared_experts", prefix.trim_end_matches("experts"))
}

/// The experts of a layer: `count` routed ones, called `{prefix}.0` and on, then `shared` ones.
#[derive(Clone, Copy)]
pub(crate) struct Group<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) count: usize,
    pub(crate) shared: usize,
    pub(crate) hidden: usize,
    pub(crate) width: usize,
}

/// Where a matrix goes in a record: row `r` becomes row `r·step + phase` of the planes at these words.
struct Place {
    format: Format,
    weights: usize,
    scales: usize,
    step: usize,
    phase: usize,
}

/// Whether every value, or every scale, of a record is finite.
fn record_finite(layout: &ExpertLayout, record: &[u8]) -> bool {
    let part = |from: usize, to: usize| &record[4 * from..4 * to];
    finite(layout.up_format, part(0, layout.up_scales), part(layout.up_scales, layout.down_weights))
        && finite(
            layout.down_format,
            part(layout.down_weights, layout.down_scales),
            part(layout.down_scales, layout.stride),
        )
}
