//! Evenly spaced values that start anywhere, as int8 blocks: `d·q − m` as nearly as `s·k`.
//!
//! With `s` a whole part of `d`, steps come out as they are, and only the start is rounded. Of the parts that leave codes in eight
//! bits the one is taken that rounds it least, which loses a fraction of what rounding to the finest step would.

use super::blocks::Even;
use crate::format::{BLOCK, Format, from_f16, to_f16};

/// Largest code.
const MOST: f32 = 127.0;

/// The codes and the scale of a block of 32.
pub(super) fn fit(block: &Even, codes: &mut [u8], scale: &mut [u8]) {
    let Even { d, m, codes: q } = block;
    let ends = |of: fn(u8, u8) -> u8| f32::from(q.iter().copied().reduce(of).unwrap_or(0));
    let ends = [ends(u8::min), ends(u8::max)];
    let largest = ends.iter().fold(0f32, |most, q| most.max((d * q - m).abs()));
    let parts = (MOST * d.abs() / largest).floor();
    let mut best: Option<(f32, f32, f32, u16)> = None;
    if parts.is_finite() {
        let first = parts.min(MOST) as u32;
        for n in (first / 2 + 1..=first).rev().map(|n| n as f32) {
            let bits = to_f16(d / n);
            let s = from_f16(bits);
            let start = (m / s).round();
            let code = |q: f32| n * q - start;
            if s == 0.0 || !s.is_finite() || ends.iter().any(|q| code(*q).abs() > MOST) {
                continue;
            }
            let lost: f32 = ends.iter().map(|q| (code(*q) * s - (d * q - m)).powi(2)).sum();
            if best.is_none_or(|(least, ..)| lost < least) {
                best = Some((lost, n, start, bits));
            }
        }
    }
    // What rounding to the finest step would lose at both ends, on average.
    let finest = 2.0 * (largest / MOST).powi(2) / 12.0;
    match best.filter(|(lost, ..)| *lost <= finest) {
        Some((_, n, start, bits)) => {
            scale.copy_from_slice(&bits.to_le_bytes());
            for (code, q) in codes.iter_mut().zip(q) {
                *code = (n * f32::from(*q) - start) as i8 as u8;
            }
        }
        // Hardly a step between them, or none that fits.
        None => {
            let values: Vec<f32> = q.iter().map(|q| d * f32::from(*q) - m).collect();
            let (weights, scales) = Format::Q8.encode(&values, 1, BLOCK);
            codes.copy_from_slice(bytemuck::cast_slice(&weights));
            scale.copy_from_slice(&bytemuck::cast_slice::<u32, u8>(&scales)[..2]);
        }
    }
}
