//! From stored bytes to the planes of a kernel format, with every value checked on the way.

use half::{bf16, f16};

use crate::format::{BLOCK, Format};

/// Largest value that 16-bit floats, and so the scales of blocks, hold.
const LARGEST: f32 = 65_504.0;

/// Bytes of a stored row of `cols` values: of its weights, and of its scales. Unlike planes, stored rows of 16-bit
/// floats are not padded to words.
pub(crate) fn row_bytes(format: Format, cols: u64) -> (u64, u64) {
    let scales = cols / BLOCK as u64 * 2;
    match format {
        Format::F32 => (cols * 4, 0),
        Format::F16 | Format::Bf16 => (cols * 2, 0),
        Format::Q8 => (cols, scales),
        Format::Q4 => (cols / 2, scales),
    }
}

/// Whole rows of a tensor, in a kernel format.
pub(crate) struct Planes {
    /// How many rows.
    pub(crate) rows: usize,
    /// Weight plane.
    pub(crate) weights: Vec<u8>,
    /// Scale plane, whole words; empty for formats without.
    pub(crate) scales: Vec<u8>,
}

impl Planes {
    /// As bytes of a file: rows of an odd number of 16-bit floats lose their padding, and scales theirs at the end.
    pub(crate) fn into_stored(mut self, format: Format, cols: usize) -> (Vec<u8>, Vec<u8>) {
        let (row, padded) = (row_bytes(format, cols as u64), 4 * format.row_words(cols));
        if padded as u64 > row.0 {
            self.weights = self.weights.chunks_exact(padded).flat_map(|r| &r[..row.0 as usize]).copied().collect();
        }
        self.scales.truncate(self.rows * row.1 as usize);
        (self.weights, self.scales)
    }
}

/// Stored rows as planes of `target`. The error says which value is at fault.
pub(crate) fn convert(stored: Format, target: Format, rows: Planes, cols: usize) -> Result<Planes, String> {
    let Planes { rows, weights, mut scales } = rows;
    if !finite(stored, &weights, &scales) {
        return Err("has a value that is infinite or not a number".into());
    }
    scales.resize(scales.len().next_multiple_of(4), 0);
    let whole = matches!(stored, Format::F32) || cols.is_multiple_of(2);
    if stored == target && whole {
        return Ok(Planes { rows, weights, scales });
    }
    let values = decode(stored, &weights, &scales, cols);
    let narrow = matches!(target, Format::F16 | Format::Q8 | Format::Q4);
    if let Some(v) = values.iter().find(|v| narrow && v.abs() > LARGEST) {
        return Err(format!("has the value {v}, too large for {}", target.name()));
    }
    let (weights, scales) = target.encode(&values, rows, cols);
    let bytes = |words: Vec<u32>| bytemuck::cast_slice(&words).to_vec();
    Ok(Planes { rows, weights: bytes(weights), scales: bytes(scales) })
}

/// Whether all values are finite; for blocks, all scales.
pub(crate) fn finite(format: Format, weights: &[u8], scales: &[u8]) -> bool {
    let halves = |bytes: &[u8], exponent: u16| {
        bytes.chunks_exact(2).all(|b| u16::from_le_bytes([b[0], b[1]]) & exponent != exponent)
    };
    match format {
        Format::F32 => weights.chunks_exact(4).all(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).is_finite()),
        Format::F16 => halves(weights, 0x7C00),
        Format::Bf16 => halves(weights, 0x7F80),
        Format::Q8 | Format::Q4 => halves(scales, 0x7C00),
    }
}

/// Stored rows as floats.
fn decode(stored: Format, weights: &[u8], scales: &[u8], cols: usize) -> Vec<f32> {
    let halves =
        |from: fn(u16) -> f32| weights.chunks_exact(2).map(|b| from(u16::from_le_bytes([b[0], b[1]]))).collect();
    match stored {
        Format::F32 => weights.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Format::F16 => halves(|bits| f16::from_bits(bits).to_f32()),
        Format::Bf16 => halves(|bits| bf16::from_bits(bits).to_f32()),
        Format::Q8 | Format::Q4 => {
            let words = |bytes: &[u8]| -> Vec<u32> {
                bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            };
            let (words, scales) = (words(weights), words(scales));
            let rows = words.len() / stored.row_words(cols).max(1);
            let mut out = vec![0.0; rows * cols];
            for (row, out) in out.chunks_exact_mut(cols).enumerate() {
                stored.decode_row(&words, &scales, row, out);
            }
            out
        }
    }
}
