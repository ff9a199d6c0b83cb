//! e4m3 bytes with an f32 scale for every 128 columns of a row, `w = e4m3(q) · scale`.
//!
//! DeepSeek's files have a scale for 128 rows too, but rows of several tensors stand above each other or alternate on a
//! device, so each row has its own. Rows are padded with zeros to whole blocks.

use super::small::E4M3;
use super::{BLOCK, TILE};

/// The value of every code; those that are not numbers never get here.
static VALUES: [f32; 256] = {
    let mut values = [0.0; 256];
    let mut code = 0;
    while code < 256 {
        let size = E4M3.decode(code as u8 & 127);
        values[code] = if code < 128 { size } else { -size };
        code += 1;
    }
    values
};

/// Largest value of a code.
pub const LARGEST: f32 = 448.0;

pub(super) fn encode(values: &[f32], cols: usize) -> (Vec<u32>, Vec<u32>) {
    let (mut bytes, mut scales) = (Vec::new(), Vec::new());
    for row in values.chunks(cols.max(1)) {
        for tile in row.chunks(TILE) {
            let scale = tile.iter().fold(0f32, |m, v| m.max(v.abs())) / LARGEST;
            // Scales that a GPU may take for zero are.
            let scale = if scale.is_normal() { scale } else { 0.0 };
            let code = |v: f32| {
                let size = if scale > 0.0 { E4M3.encode(v.abs() / scale) } else { 0 };
                size | if v.is_sign_negative() { 128 } else { 0 }
            };
            bytes.extend(tile.iter().map(|v| code(*v)));
            scales.push(scale.to_bits());
        }
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    (bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(), scales)
}

pub(super) fn decode(weights: &[u32], scales: &[u32], out: &mut [f32]) {
    for (i, (four, word)) in out.chunks_mut(4).zip(weights).enumerate() {
        let scale = f32::from_bits(scales[4 * i / TILE]);
        for (v, q) in four.iter_mut().zip(word.to_le_bytes()) {
            *v = VALUES[usize::from(q)] * scale;
        }
    }
}

pub(super) fn dot(weights: &[u32], scales: &[u32], x: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (b, (block, words)) in x.chunks(BLOCK).zip(weights.chunks_exact(BLOCK / 4)).enumerate() {
        let mut part = [0f32; 4];
        for (four, word) in block.chunks(4).zip(words) {
            for ((p, v), q) in part.iter_mut().zip(four).zip(word.to_le_bytes()) {
                *p += VALUES[usize::from(q)] * v;
            }
        }
        sum += (part[0] + part[1] + part[2] + part[3]) * f32::from_bits(scales[b * BLOCK / TILE]);
    }
    sum
}
