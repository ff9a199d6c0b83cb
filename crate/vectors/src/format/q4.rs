//! int4 blocks: 32 nibbles and an f16 scale, `w = (q − 8) · scale`.
//!
//! Byte `i` of a block holds column `i` in its low nibble and column `i + 16` in its high one, so that a masked word is
//! four neighbouring columns.

use super::{BLOCK, float, pack_scales, scale};

/// Words of a block.
const WORDS: usize = BLOCK / 8;
/// Columns in one half of a block.
const HALF: usize = BLOCK / 2;

pub(super) fn encode(values: &[f32]) -> (Vec<u32>, Vec<u32>) {
    let mut weights = Vec::with_capacity(values.len() / 8);
    let mut scales = Vec::with_capacity(values.len() / BLOCK);
    for block in values.chunks_exact(BLOCK) {
        let (bits, codes) = best(block);
        scales.push(bits);
        weights.extend((0..WORDS).map(|w| {
            let byte = |i: usize| codes[4 * w + i] | codes[4 * w + i + HALF] << 4;
            u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)])
        }));
    }
    (weights, pack_scales(&scales))
}

/// The scale and codes with the least squared error among scales near those that make an extreme value exact.
/// Searching halves the error of the plain rule at no cost to readers.
fn best(block: &[f32]) -> (u16, [u8; BLOCK]) {
    let extreme = block.iter().copied().fold(0f32, |m, v| if v.abs() > m.abs() { v } else { m });
    let mut found = (f32::INFINITY, 0, [8u8; BLOCK]);
    if extreme == 0.0 {
        return (found.1, found.2);
    }
    for steps in [-8.0, -7.75, -7.5, -7.25, -7.0, -6.75, -6.5, 7.0, 7.25, 7.5] {
        let bits = float::to_f16(extreme / steps);
        let d = float::from_f16(bits);
        if d == 0.0 || !d.is_finite() {
            continue;
        }
        let mut codes = [8u8; BLOCK];
        let mut error = 0.0;
        for (code, v) in codes.iter_mut().zip(block) {
            let q = (v / d).round().clamp(-8.0, 7.0);
            *code = (q + 8.0) as u8;
            error += (v - q * d) * (v - q * d);
        }
        if error < found.0 {
            found = (error, bits, codes);
        }
    }
    (found.1, found.2)
}

pub(super) fn decode(weights: &[u32], scales: &[u32], first: usize, out: &mut [f32]) {
    for (b, (block, words)) in out.chunks_exact_mut(BLOCK).zip(weights.chunks_exact(WORDS)).enumerate() {
        let d = scale(scales, first + b);
        let (low, high) = block.split_at_mut(HALF);
        for (w, word) in words.iter().enumerate() {
            for (i, byte) in word.to_le_bytes().into_iter().enumerate() {
                low[4 * w + i] = (f32::from(byte & 15) - 8.0) * d;
                high[4 * w + i] = (f32::from(byte >> 4) - 8.0) * d;
            }
        }
    }
}

pub(super) fn dot(weights: &[u32], scales: &[u32], first: usize, x: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (b, (block, words)) in x.chunks_exact(BLOCK).zip(weights.chunks_exact(WORDS)).enumerate() {
        let (low, high) = block.split_at(HALF);
        let mut part = [0f32; 4];
        for (w, word) in words.iter().enumerate() {
            for (i, byte) in word.to_le_bytes().into_iter().enumerate() {
                part[i] += (f32::from(byte & 15) - 8.0) * low[4 * w + i];
                part[i] += (f32::from(byte >> 4) - 8.0) * high[4 * w + i];
            }
        }
        sum += (part[0] + part[1] + part[2] + part[3]) * scale(scales, first + b);
    }
    sum
}
