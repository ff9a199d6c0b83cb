//! From stored bytes to the planes of a kernel format, with every value checked on the way.

use crate::format::{Format, LARGEST_E4M3, LARGEST_POWER};

/// Largest value that 16-bit floats, and so the scales of q8 and q4, hold.
const LARGEST: f32 = 65_504.0;

/// Bytes of a stored row of `cols` values: of its weights, and of its scales. Unlike planes, stored rows are not padded.
pub(crate) fn row_bytes(format: Format, cols: u64) -> (u64, u64) {
    let weights = match format {
        Format::F32 => cols * 4,
        Format::F16 | Format::Bf16 => cols * 2,
        Format::Q8 | Format::Fp8 => cols,
        Format::Q4 | Format::Mxfp4 => cols / 2,
    };
    (weights, format.row_scales(cols))
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
    /// As bytes of a file: rows lose their padding, and scales theirs at the end.
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
    let Planes { rows, mut weights, mut scales } = rows;
    if !finite(stored, &weights, &scales) {
        return Err("has a value that is infinite or not a number".into());
    }
    scales.resize(scales.len().next_multiple_of(4), 0);
    let (row, padded) = (row_bytes(stored, cols as u64).0 as usize, 4 * stored.row_words(cols));
    if padded > row {
        let mut whole = Vec::with_capacity(rows * padded);
        for row in weights.chunks_exact(row) {
            whole.extend_from_slice(row);
            whole.resize(whole.len() + padded - row.len(), 0);
        }
        weights = whole;
    }
    if stored == target {
        return Ok(Planes { rows, weights, scales });
    }
    let values = decode(stored, &weights, &scales, rows, cols);
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
    let floats = |bytes: &[u8], times: f32| {
        bytes.chunks_exact(4).all(|b| (f32::from_le_bytes([b[0], b[1], b[2], b[3]]) * times).is_finite())
    };
    match format {
        Format::F32 => floats(weights, 1.0),
        Format::F16 => halves(weights, 0x7C00),
        Format::Bf16 => halves(weights, 0x7F80),
        Format::Q8 | Format::Q4 => halves(scales, 0x7C00),
        Format::Fp8 => weights.iter().all(|b| b & 0x7F != 0x7F) && floats(scales, LARGEST_E4M3),
        Format::Mxfp4 => scales.iter().all(|e| *e <= LARGEST_POWER),
    }
}

/// Rows of planes as floats.
fn decode(format: Format, weights: &[u8], scales: &[u8], rows: usize, cols: usize) -> Vec<f32> {
    let words = |bytes: &[u8]| -> Vec<u32> { bytemuck::pod_collect_to_vec(bytes) };
    let (weights, scales) = (words(weights), words(scales));
    let mut out = vec![0.0; rows * cols];
    for (row, out) in out.chunks_exact_mut(cols.max(1)).enumerate() {
        format.decode_row(&weights, &scales, row, out);
    }
    out
}
