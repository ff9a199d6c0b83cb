//! From files to a device, a few rows or one expert at a time: memory stays small whatever the size of a tensor.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;

use crate::device::{Buffer, Device};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::source::Source;
use crate::weights::planes::{Planes, convert, finite};
use crate::weights::{Bias, ExpertLayout, Group, Matrix, Slab, Tensors};

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
        let (target, cols) = (matrix.format, matrix.cols);
        let row_scales = target.row_scales(cols as u64) as usize;
        let mut slabs: Vec<_> = matrix.slabs.iter().map(Filling::of).collect();
        let mut at = 0;
        for (name, rows) in parts {
            let (stored, _) = self.index.tensor(name, &[*rows, cols])?;
            let mut row = 0;
            while row < *rows as u64 {
                let planes = self.rows(name, stored, row, u64::MAX, target).await?;
                let (mut left, line) = (planes.rows, planes.weights.len() / planes.rows.max(1));
                let (mut weights, mut scales) = (planes.weights.as_slice(), planes.scales.as_slice());
                while left > 0 {
                    let (slab, room) = matrix.place(at);
                    let count = left.min(room);
                    let (mine, mine_scales);
                    (mine, weights) = weights.split_at(count * line);
                    (mine_scales, scales) = scales.split_at(count * row_scales);
                    slabs[slab].append(device, mine, mine_scales)?;
                    (at, left) = (at + count, left - count);
                }
                on_read(stored.bytes_of(row..row + planes.rows as u64));
                row += planes.rows as u64;
            }
        }
        slabs.into_iter().try_for_each(|slab| slab.end(device))
    }

    /// Fills a vector of tensors behind each other, each a name and its length, in f32.
    pub(crate) async fn vector(
        &self,
        device: &dyn Device,
        parts: &[(String, usize)],
        vector: &Buffer,
        on_read: OnRead<'_>,
    ) -> Result<()> {
        let mut at = 0;
        for (name, len) in parts {
            let stored = self.index.vector(name, *len)?;
            let planes = self.rows(name, stored, 0, u64::MAX, Format::F32).await?;
            // The padding of rows is left behind.
            device.write(vector, at, &planes.weights[..4 * len])?;
            at += 4 * *len as u64;
            on_read(stored.bytes());
        }
        Ok(())
    }

    /// The record of expert `i` of a layer, in words as bytes: from a pack as it is, else put together from the expert's gate,
    /// up and down matrices, which of a shared one are parts of larger ones. Behind a pointer: it is long, and asked for in
    /// several places.
    pub(crate) fn record<'r>(
        &'r self,
        group: &'r Group,
        i: usize,
        layout: &'r ExpertLayout,
        on_read: OnRead<'r>,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>>> + 'r>> {
        Box::pin(self.made(group, i, layout, on_read))
    }

    async fn made(&self, group: &Group, i: usize, layout: &ExpertLayout, on_read: OnRead<'_>) -> Result<Vec<u8>> {
        let Group { prefix, ups, down: down_role, hidden, .. } = group;
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
        let short = |_| Error::Memory { what: format!("{prefix}.{i}"), bytes: layout.bytes() };
        record.try_reserve_exact(layout.bytes() as usize).map_err(short)?;
        record.resize(layout.bytes() as usize, 0);
        let (up, down) = (layout.up_format, layout.down_format);
        let (name, width, part) = group.slice(i);
        // The slices of a shared MLP add up to all of it.
        let share = |bytes: u64| {
            let of = |columns: usize| (u128::from(bytes) * columns as u128 / width as u128) as u64;
            of(part.end) - of(part.start)
        };
        // Gates are even rows and ups odd ones; where the files have both in one matrix, it is so already.
        let each = 2 / ups.len();
        for (phase, role) in ups.iter().enumerate() {
            let scales = layout.up_scales;
            let place = Place { format: up, cols: *hidden, weights: 0, scales, step: ups.len(), phase };
            let rows = each * part.start..each * part.end;
            let whole = [each * width, *hidden];
            let name = format!("{name}.{role}.weight");
            on_read(share(self.place(&name, whole, (rows, 0..*hidden), &place, &mut record).await?));
        }
        let (weights, scales) = (layout.down_weights, layout.down_scales);
        let place = Place { format: down, cols: group.width, weights, scales, step: 1, phase: 0 };
        let whole = [*hidden, width];
        let down_name = format!("{name}.{down_role}.weight");
        on_read(share(self.place(&down_name, whole, (0..*hidden, part.clone()), &place, &mut record).await?));
        for (bias, len, at) in group.biases(&name) {
            let stored = self.index.vector(&bias, len)?;
            let planes = self.rows(&bias, stored, 0, 1, Format::F32).await?;
            let at = 4 * if at == Bias::Up { layout.up_bias } else { layout.down_bias };
            record[at..at + 4 * len].copy_from_slice(&planes.weights[..4 * len]);
            on_read(stored.bytes());
        }
        Ok(record)
    }

    /// Spreads these rows and columns of a matrix over a record. The bytes of the whole matrix in the files.
    async fn place(
        &self,
        name: &str,
        whole: [usize; 2],
        (rows, cols): (Range<usize>, Range<usize>),
        place: &Place,
        record: &mut [u8],
    ) -> Result<u64> {
        let (stored, _) = self.index.tensor(name, &whole)?;
        let bytes_of = |cols: usize| (4 * place.format.row_words(cols), place.format.row_scales(cols as u64) as usize);
        let (row_weights, row_scales) = bytes_of(place.cols);
        let (mut line_weights, mut line_scales) = bytes_of(whole[1]);
        // Where scales would stand for more columns than those wanted, or the last of them are zeros, the columns are cut out as
        // floats first.
        let whole_rows = cols.len() == place.cols
            && (cols.len() == whole[1] || place.format.cuts(place.cols) && whole[1].is_multiple_of(place.cols));
        let (read_as, across) = if whole_rows { (place.format, cols.start / place.cols) } else { (Format::F32, 0) };
        let mut row = rows.start;
        while row < rows.end {
            let mut planes = self.rows(name, stored, row as u64, (rows.end - row) as u64, read_as).await?;
            if !whole_rows {
                let mut cut = Vec::with_capacity(planes.rows * 4 * place.cols);
                for line in planes.weights.chunks_exact(4 * whole[1]) {
                    cut.extend_from_slice(&line[4 * cols.start..4 * cols.end]);
                    cut.resize(cut.len() + 4 * (place.cols - cols.len()), 0);
                }
                let cut = Planes { rows: planes.rows, weights: cut, scales: Vec::new() };
                let wrong = |reason| Error::tensor(&self.index.file, name, reason);
                planes = convert(Format::F32, place.format, cut, place.cols).map_err(wrong)?;
                (line_weights, line_scales) = (row_weights, row_scales);
            }
            for r in 0..planes.rows {
                let to = (row - rows.start + r) * place.step + place.phase;
                record[4 * place.weights + to * row_weights..][..row_weights]
                    .copy_from_slice(&planes.weights[r * line_weights + across * row_weights..][..row_weights]);
                record[4 * place.scales + to * row_scales..][..row_scales]
                    .copy_from_slice(&planes.scales[r * line_scales + across * row_scales..][..row_scales]);
            }
            row += planes.rows;
        }
        Ok(stored.bytes())
    }
}

/// A slab that rows come to one after another.
struct Filling<'a> {
    slab: &'a Slab,
    weights_at: u64,
    scales_at: u64,
    /// Scales are parts of words: what does not fill one waits for the next rows.
    waiting: Vec<u8>,
}

impl<'a> Filling<'a> {
    fn of(slab: &'a Slab) -> Self {
        Filling { slab, weights_at: 0, scales_at: 0, waiting: Vec::new() }
    }

    fn append(&mut self, device: &dyn Device, weights: &[u8], scales: &[u8]) -> Result<()> {
        device.write(&self.slab.weights, self.weights_at, weights)?;
        self.weights_at += weights.len() as u64;
        self.waiting.extend_from_slice(scales);
        let whole = self.waiting.len() / 4 * 4;
        device.write(&self.slab.scales, self.scales_at, &self.waiting[..whole])?;
        self.scales_at += whole as u64;
        self.waiting.drain(..whole);
        Ok(())
    }

    fn end(mut self, device: &dyn Device) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.waiting.resize(4, 0);
        device.write(&self.slab.scales, self.scales_at, &self.waiting)
    }
}

/// Where a matrix goes in a record: row `r` becomes row `r·step + phase` of the planes at these words.
struct Place {
    format: Format,
    /// Columns there: zeros follow where the matrix has fewer.
    cols: usize,
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
            part(layout.down_scales, layout.planes()),
        )
        && finite(Format::F32, part(layout.planes(), layout.stride), &[])
}
