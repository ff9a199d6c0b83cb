//! A matrix on a device, and the record of one expert: what weights become.

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
    /// Weight plane.
    pub weights: Buffer,
    /// Scale plane; a few unused bytes for formats without scales.
    pub scales: Buffer,
}

impl Matrix {
    /// A matrix of zeros on a device.
    pub(crate) fn reserve(device: &dyn Device, label: &str, format: Format, rows: usize, cols: usize) -> Result<Self> {
        let (weights, scales) = plane_bytes(format, rows, cols);
        let (weights, scales) = (device.buffer(label, weights)?, device.buffer(label, scales.max(4))?);
        Ok(Matrix { format, rows, cols, weights, scales })
    }
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
        let after = |start: usize, words: usize| (start + words).next_multiple_of(4);
        let up_scales = after(0, 2 * width * up_format.row_words(hidden));
        let down_weights = after(up_scales, up_format.scale_words(2 * width, hidden));
        let down_scales = after(down_weights, hidden * down_format.row_words(width));
        let end = after(down_scales, down_format.scale_words(hidden, width));
        let (mut up_bias, mut down_bias, mut stride) = (0, 0, end);
        if biased {
            (up_bias, down_bias) = (end, after(end, 2 * width));
            stride = after(down_bias, hidden);
        }
        Ok(ExpertLayout { up_format, down_format, up_scales, down_weights, down_scales, up_bias, down_bias, stride })
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
