//! A matrix on a device, and the record of one expert: what weights become.

use std::ops::Range;

use crate::device::{Buffer, Device};
use crate::error::{Error, Result};
use crate::format::Format;

/// A matrix `[rows, cols]` in a kernel format.
#[derive(Clone)]
pub struct Matrix {
    /// Format of the planes.
    pub format: Format,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub cols: usize,
    /// How it may be told apart.
    pub(crate) split: Split,
    /// Its rows in as few buffers as the device can bind: in one, as a rule.
    pub slabs: Vec<Slab>,
}

/// Rows of a matrix in buffers of their own.
#[derive(Clone)]
pub struct Slab {
    /// Outputs of the slabs before.
    pub first: usize,
    /// Its rows.
    pub rows: usize,
    /// Weight plane.
    pub weights: Buffer,
    /// Scale plane; a few unused bytes for formats without scales.
    pub scales: Buffer,
}

/// How a matrix may be told apart where one buffer cannot have all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Split {
    /// Not at all: a kernel wants all its rows.
    No,
    /// Between any rows.
    Rows,
    /// Gates are the upper half of the rows, ups the lower: a slab has as many of these as of those.
    Gated,
}

impl Split {
    /// Rows of an output.
    fn each(self) -> usize {
        if self == Split::Gated { 2 } else { 1 }
    }
}

/// Outputs of a slab or of a record's share are a multiple of this, but for the last: scales are whole words then.
pub(crate) const GRAIN: usize = 4;

impl Matrix {
    /// A matrix of zeros on a device.
    pub(crate) fn reserve(
        device: &dyn Device,
        label: &str,
        format: Format,
        [rows, cols]: [usize; 2],
        split: Split,
    ) -> Result<Self> {
        let (mut slabs, mut first) = (Vec::new(), 0);
        for rows in heights(format, [rows, cols], split, device.limits().binding) {
            let (weights, scales) = plane_bytes(format, rows, cols);
            let (weights, scales) = (device.buffer(label, weights)?, device.buffer(label, scales.max(4))?);
            slabs.push(Slab { first, rows, weights, scales });
            first += rows / split.each();
        }
        Ok(Matrix { format, rows, cols, split, slabs })
    }

    /// All of it, of a matrix that is not told apart.
    #[must_use]
    pub fn whole(&self) -> &Slab {
        &self.slabs[0]
    }

    /// The slab that has row `row`, and how many rows from that one on.
    pub(crate) fn place(&self, row: usize) -> (usize, usize) {
        // Of a gated matrix gates go to all slabs before ups do.
        let outputs = self.rows / self.split.each();
        let at = row % outputs;
        let slab = self.slabs.iter().rposition(|slab| slab.first <= at).unwrap_or(0);
        (slab, self.slabs.get(slab + 1).map_or(outputs, |next| next.first) - at)
    }

    /// Bytes of all its planes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.slabs.iter().map(|slab| slab.weights.bytes() + slab.scales.bytes()).sum()
    }
}

/// Rows of each slab of a matrix on a device that binds so many bytes.
pub(crate) fn heights(format: Format, [rows, cols]: [usize; 2], split: Split, binding: u64) -> Vec<usize> {
    let (weights, scales) = plane_bytes(format, rows, cols);
    let (each, row) = (split.each(), 4 * format.row_words(cols) as u64);
    // No row has more scales than weights.
    let most = usize::try_from(binding / row.max(1)).unwrap_or(usize::MAX) / each / GRAIN * GRAIN;
    if weights.max(scales) <= binding || split == Split::No || most == 0 {
        return vec![rows];
    }
    let outputs = rows / each;
    shares(outputs, outputs.div_ceil(most)).map(|share| each * share.len()).collect()
}

/// Cuts `outputs` into no more than `parts` parts that are nearly alike.
pub(crate) fn shares(outputs: usize, parts: usize) -> impl Iterator<Item = Range<usize>> {
    let most = outputs.div_ceil(parts).next_multiple_of(GRAIN);
    (0..outputs).step_by(most).map(move |first| first..outputs.min(first + most))
}

/// Bytes of the weight plane and of the scale plane of a matrix, in whole words.
pub(crate) fn plane_bytes(format: Format, rows: usize, cols: usize) -> (u64, u64) {
    let weights = (rows as u64).saturating_mul(4 * format.row_words(cols) as u64);
    let scales = (rows as u64).saturating_mul(format.row_scales(cols as u64)).next_multiple_of(4);
    (weights, scales)
}

/// Most values of one expert: 4 GiB in f32, so that word counts fit 32 bits.
const VALUES: u64 = 1 << 30;

/// Layout of an expert's record, in words; every part starts at a multiple of four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpertLayout {
    /// Format of gate and up.
    pub up_format: Format,
    /// Format of down.
    pub down_format: Format,
    /// Scale plane of the gate-up matrix `[2I, H]`, whose weight plane starts at 0.
    pub up_scales: usize,
    /// Weight plane of the down matrix `[H, I]`.
    pub down_weights: usize,
    /// Scale plane of the down matrix.
    pub down_scales: usize,
    /// Biases of gates and ups `[2I]` in f32, in the order of their rows; 0: none.
    pub up_bias: usize,
    /// Biases of the down matrix `[H]`; 0: none.
    pub down_bias: usize,
    /// Length of a record.
    pub stride: usize,
}

impl ExpertLayout {
    /// Layout for experts of `width` on a hidden size of `hidden`, with biases or without. [`Error::Limit`] for experts too large to address.
    pub fn new(up_format: Format, down_format: Format, hidden: usize, width: usize, biased: bool) -> Result<Self> {
        let values = (hidden as u64).saturating_mul(width as u64).saturating_mul(3);
        if values > VALUES {
            return Err(Error::Limit { what: "values of one expert".into(), value: values, limit: VALUES });
        }
        Ok(ExpertLayout::of(up_format, down_format, [width, hidden], [width, hidden], biased))
    }

    /// Layout of the rows that make some outputs of an expert: of both halves, `[up, down]`.
    pub(super) fn of(
        up_format: Format,
        down_format: Format,
        [ups, downs]: [usize; 2],
        [width, hidden]: [usize; 2],
        biased: bool,
    ) -> Self {
        let after = |start: usize, words: usize| (start + words).next_multiple_of(4);
        let up_scales = after(0, 2 * ups * up_format.row_words(hidden));
        let down_weights = after(up_scales, up_format.scale_words(2 * ups, hidden));
        let down_scales = after(down_weights, downs * down_format.row_words(width));
        let end = after(down_scales, down_format.scale_words(downs, width));
        let (mut up_bias, mut down_bias, mut stride) = (0, 0, end);
        if biased {
            (up_bias, down_bias) = (end, after(end, 2 * ups));
            stride = after(down_bias, downs);
        }
        ExpertLayout { up_format, down_format, up_scales, down_weights, down_scales, up_bias, down_bias, stride }
    }

    /// Where scales end.
    pub(crate) fn planes(&self) -> usize {
        if self.up_bias == 0 { self.stride } else { self.up_bias }
    }

    /// Bytes of a record.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        4 * self.stride as u64
    }
}
