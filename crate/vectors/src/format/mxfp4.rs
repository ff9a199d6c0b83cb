//! Blocks of 32 e2m1 nibbles and a power of two, one byte e8m0, `w = e2m1(q) · 2^(e − 127)` (OCP Microscaling Formats 1.0).
//!
//! Nibbles lie as in q4: byte `i` of a block has column `i` in its low half and column `i + 16` in its high one.

use super::BLOCK;
use super::small::E2M1;

/// Words of a block.
const WORDS: usize = BLOCK / 8;
/// Columns in one half of a block.
const HALF: usize = BLOCK / 2;

/// The value of every code.
static VALUES: [f32; 16] = {
    let mut values = [0.0; 16];
    let mut code = 0;
    while code < 16 {
        let size = E2M1.decode(code as u8 & 7);
        values[code] = if code < 8 { size } else { -size };
        code += 1;
    }
    values
};

/// The largest power that keeps every code's value finite; above are those that overflow, and 255, not a number.
pub const LARGEST: u8 = 252;

/// The power of two of a byte.
fn power(e: u8) -> f32 {
    // That of 0 is subnormal, which a GPU may take for zero.
    f32::from_bits((u32::from(e) << 23).max(1 << 22))
}

pub(super) fn encode(values: &[f32]) -> (Vec<u32>, Vec<u32>) {
    let (mut weights, mut powers) = (Vec::with_capacity(values.len() / 8), Vec::with_capacity(values.len() / BLOCK));
    for block in values.chunks_exact(BLOCK) {
        // As the specification has it: the largest value's power less that of the largest code, 6 = 1.5 · 2^2.
        let largest = block.iter().fold(0f32, |m, v| m.max(v.abs()));
        let e = (largest.to_bits() >> 23).saturating_sub(2) as u8;
        let d = power(e);
        let code = |v: f32| E2M1.encode(v.abs() / d) | if v.is_sign_negative() { 8 } else { 0 };
        powers.push(e);
        weights.extend((0..WORDS).map(|w| {
            u32::from_le_bytes([0, 1, 2, 3].map(|i| code(block[4 * w + i]) | code(block[4 * w + i + HALF]) << 4))
        }));
    }
    powers.resize(powers.len().next_multiple_of(4), 0);
    (weights, powers.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// The power of block `i` of a scale plane.
fn scale(scales: &[u32], i: usize) -> f32 {
    power((scales[i / 4] >> (8 * (i % 4))) as u8)
}

pub(super) fn decode(weights: &[u32], scales: &[u32], first: usize, out: &mut [f32]) {
    for (b, (block, words)) in out.chunks_exact_mut(BLOCK).zip(weights.chunks_exact(WORDS)).enumerate() {
        let d = scale(scales, first + b);
        let (low, high) = block.split_at_mut(HALF);
        for (i, byte) in words.iter().flat_map(|word| word.to_le_bytes()).enumerate() {
            low[i] = VALUES[usize::from(byte & 15)] * d;
            high[i] = VALUES[usize::from(byte >> 4)] * d;
        }
    }
}

pub(super) fn dot(weights: &[u32], scales: &[u32], first: usize, x: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (b, (block, words)) in x.chunks_exact(BLOCK).zip(weights.chunks_exact(WORDS)).enumerate() {
        let (low, high) = block.split_at(HALF);
        let mut part = [0f32; 4];
        for (i, byte) in words.iter().flat_map(|word| word.to_le_bytes()).enumerate() {
            part[i % 4] += VALUES[usize::from(byte & 15)] * low[i];
            part[i % 4] += VALUES[usize::from(byte >> 4)] * high[i];
        }
        sum += (part[0] + part[1] + part[2] + part[3]) * scale(scales, first + b);
    }
    sum
}
