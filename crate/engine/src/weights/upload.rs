//! From files to a device, a few rows or one expert at a time: memory stays small whatever the size of a tensor.

use crate::device::{Buffer, Device};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::source::Source;
use crate::weights::planes::finite;
use crate::weights::{ExpertLayout, Matrix, Tensors};

/// Bytes of the weight plane and of the scale plane of a matrix, in whole words.
pub(crate) fn plane_bytes(format: Format, rows: usize, cols: usize) -> (u64, u64) {
    let weights = (rows as u64).saturating_mul(4 * format.row_words(cols) as u64);
    let scales = (rows as u64).saturating_mul(format.row_scales(cols as u64)).next_multiple_of(4);
    (weights, scales)
}

/// Told how many bytes of the files were used.
pub(crate) type OnRead<'a> = &'a mut dyn FnMut(u64);

impl Tensors<'_> {
    /// Puts a matrix of tensors above each other, each a name and its rows, on a device in format `target`.
    pub(crate) async fn matrix(
        &self,
        device: &dyn Device,
        parts: &[(String, usize)],
        cols: usize,
        target: Format,
        on_read: OnRead<'_>,
    ) -> Result<Matrix> {
        let rows = parts.iter().map(|(_, rows)| rows).sum();
        let label = parts.first().map_or("", |(name, _)| name);
        let (weight_bytes, scale_bytes) = plane_bytes(target, rows, cols);
        let weights = device.buffer(label, weight_bytes)?;
        let scales = device.buffer(label, scale_bytes.max(4))?;
        let row_scales = target.row_scales(cols as u64) as usize;
        // Scales are parts of words: what does not fill one waits for the next rows.
        let (mut weights_at, mut scales_at, mut waiting) = (0, 0, Vec::new());
        for (name, rows) in parts {
            let (stored, _) = self.index.tensor(name, &[*rows, cols])?;
            let mut row = 0;
            while row < *rows as u64 {
                let planes = self.rows(name, stored, row, u64::MAX, target).await?;
                device.write(&weights, weights_at, &planes.weights)?;
                weights_at += planes.weights.len() as u64;
                waiting.extend_from_slice(&planes.scales[..planes.rows * row_scales]);
                let whole = waiting.len() / 4 * 4;
                device.write(&scales, scales_at, &waiting[..whole])?;
                scales_at += whole as u64;
                waiting.drain(..whole);
                on_read(stored.bytes_of(row..row + planes.rows as u64));
                row += planes.rows as u64;
            }
        }
        if !waiting.is_empty() {
            waiting.resize(4, 0);
            device.write(&scales, scales_at, &waiting)?;
        }
        Ok(Matrix { format: target, rows, cols, weights, scales })
    }

    /// Puts a vector of `len` floats on a device, in f32.
    pub(crate) async fn vector(
        &self,
        device: &dyn Device,
        name: &str,
        len: usize,
        on_read: OnRead<'_>,
    ) -> Result<Buffer> {
        let (stored, _) = self.index.tensor(name, &[len])?;
        let planes = self.rows(name, stored, 0, u64::MAX, Format::F32).await?;
        let buffer = device.buffer(name, 4 * len as u64)?;
        device.write(&buffer, 0, &planes.weights)?;
        on_read(stored.bytes());
        Ok(buffer)
    }

    /// The record of expert `i` of those called `prefix`, in words as bytes: from a pack as it is, else put together
    /// from the expert's gate, up and down matrices.
    pub(crate) async fn record(
        &self,
        prefix: &str,
        i: usize,
        [hidden, width]: [usize; 2],
        layout: &ExpertLayout,
        on_read: OnRead<'_>,
    ) -> Result<Vec<u8>> {
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
        let places = [
            (
                "gate_proj",
                [width, hidden],
                Place { format: up, weights: 0, scales: layout.up_scales, step: 2, phase: 0 },
            ),
            ("up_proj", [width, hidden], Place { format: up, weights: 0, scales: layout.up_scales, step: 2, phase: 1 }),
            (
                "down_proj",
                [hidden, width],
                Place { format: down, weights: layout.down_weights, scales: layout.down_scales, step: 1, phase: 0 },
            ),
        ];
        for (role, shape, place) in places {
            self.place(&format!("{prefix}.{i}.{role}.weight"), shape, &place, &mut record, on_read).await?;
        }
        Ok(record)
    }

    /// Spreads the rows of a matrix over a record.
    async fn place(
        &self,
        name: &str,
        [rows, cols]: [usize; 2],
        place: &Place,
        record: &mut [u8],
        on_read: OnRead<'_>,
    ) -> Result<()> {
        let (stored, _) = self.index.tensor(name, &[rows, cols])?;
        let (row_weights, row_scales) =
            (4 * place.format.row_words(cols), place.format.row_scales(cols as u64) as usize);
        let mut first = 0;
        while first < rows {
            let planes = self.rows(name, stored, first as u64, u64::MAX, place.format).await?;
            for r in 0..planes.rows {
                let to = (first + r) * place.step + place.phase;
                record[4 * place.weights + to * row_weights..][..row_weights]
                    .copy_from_slice(&planes.weights[r * row_weights..][..row_weights]);
                record[4 * place.scales + to * row_scales..][..row_scales]
                    .copy_from_slice(&planes.scales[r * row_scales..][..row_scales]);
            }
            first += planes.rows;
        }
        on_read(stored.bytes());
        Ok(())
    }
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
