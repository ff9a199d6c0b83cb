//! f16 and bf16 planes: two values to a word, the first in the low half.

use half::{bf16, f16};

/// The bits of the 16-bit float nearest to `v`.
#[inline]
#[must_use]
pub fn to_f16(v: f32) -> u16 {
    f16::from_f32(v).to_bits()
}

/// The value of the 16-bit float of these bits.
#[inline]
#[must_use]
pub fn from_f16(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32()
}

pub(super) fn to_bf16(v: f32) -> u16 {
    bf16::from_f32(v).to_bits()
}

pub(super) fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Packs row by row; an odd row ends in a zero half.
pub(super) fn encode(values: &[f32], cols: usize, to: fn(f32) -> u16) -> Vec<u32> {
    let word = |pair: &[f32]| u32::from(to(pair[0])) | pair.get(1).map_or(0, |v| u32::from(to(*v)) << 16);
    values.chunks(cols.max(1)).flat_map(|row| row.chunks(2).map(word)).collect()
}

pub(super) fn decode(weights: &[u32], out: &mut [f32], from: fn(u16) -> f32) {
    for (pair, word) in out.chunks_mut(2).zip(weights) {
        pair[0] = from(*word as u16);
        if let Some(second) = pair.get_mut(1) {
            *second = from((word >> 16) as u16);
        }
    }
}

pub(super) fn dot(weights: &[u32], x: &[f32], from: impl Fn(u16) -> f32) -> f32 {
    let mut sum = 0.0;
    for (pair, word) in x.chunks(2).zip(weights) {
        sum += from(*word as u16) * pair[0];
        if let Some(second) = pair.get(1) {
            sum += from((word >> 16) as u16) * second;
        }
    }
    sum
}
