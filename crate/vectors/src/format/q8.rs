//! int8 blocks: 32 signed bytes and an f16 scale, `w = q · scale`.

use super::{BLOCK, float, pack_scales, scale};

/// Words of a block.
const WORDS: usize = BLOCK / 4;

pub(super) fn encode(values: &[f32]) -> (Vec<u32>, Vec<u32>) {
    let mut weights = Vec::with_capacity(values.len() / 4);
    let mut scales = Vec::with_capacity(values.len() / BLOCK);
    for block in values.chunks_exact(BLOCK) {
        let largest = block.iter().fold(0f32, |m, v| m.max(v.abs()));
        let bits = float::to_f16(largest / 127.0);
        let d = float::from_f16(bits);
        let inverse = if d > 0.0 { 1.0 / d } else { 0.0 };
        scales.push(bits);
        weights.extend(block.chunks_exact(4).map(|four| {
            let byte = |i: usize| u32::from((four[i] * inverse).round().clamp(-127.0, 127.0) as i8 as u8) << (8 * i);
            byte(0) | byte(1) | byte(2) | byte(3)
        }));
    }
    (weights, pack_scales(&scales))
}

pub(super) fn decode(weights: &[u32], scales: &[u32], first: usize, out: &mut [f32]) {
    for (b, (block, words)) in out.chunks_exact_mut(BLOCK).zip(weights.chunks_exact(WORDS)).enumerate() {
        let d = scale(scales, first + b);
        for (four, word) in block.chunks_exact_mut(4).zip(words) {
            for (v, q) in four.iter_mut().zip(word.to_le_bytes()) {
                *v = f32::from(q as i8) * d;
            }
        }
    }
}

pub(super) fn dot(weights: &[u32], scales: &[u32], first: usize, x: &[f32]) -> f32 {
    let mut sum = 0.0;
    for (b, (block, words)) in x.chunks_exact(BLOCK).zip(weights.chunks_exact(WORDS)).enumerate() {
        let mut part = [0f32; 4];
        for (four, word) in block.chunks_exact(4).zip(words) {
            for ((p, v), q) in part.iter_mut().zip(four).zip(word.to_le_bytes()) {
                *p += f32::from(q as i8) * v;
            }
        }
        sum += (part[0] + part[1] + part[2] + part[3]) * scale(scales, first + b);
    }
    sum
}
