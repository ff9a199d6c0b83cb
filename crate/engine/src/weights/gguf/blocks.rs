//! Blocks of each type as values, or as codes and scales of a kernel format; values are those of ggml's reference, bit for bit.

use crate::format::from_f16;

/// A block as codes and a scale of a kernel format.
pub(super) type Split = fn(&[u8], &mut [u8], &mut [u8]);
/// The values of a block.
pub(super) type Decode = fn(&[u8], &mut [f32]);

/// Levels of the non-linear types.
const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The f16 at this byte.
fn half(block: &[u8], at: usize) -> f32 {
    from_f16(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// The low nibbles of 16 bytes, then the high ones.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    bytes.iter().map(|b| b & 15).chain(bytes.iter().map(|b| b >> 4))
}

/// Nibbles lie as in int4 blocks.
pub(super) fn q4_0(block: &[u8], codes: &mut [u8], scale: &mut [u8]) {
    scale.copy_from_slice(&block[..2]);
    codes.copy_from_slice(&block[2..]);
}

pub(super) fn q8_0(block: &[u8], codes: &mut [u8], scale: &mut [u8]) {
    q4_0(block, codes, scale);
}

/// Nibbles lie as in MXFP4 blocks here.
pub(super) fn mxfp4(block: &[u8], codes: &mut [u8], scale: &mut [u8]) {
    scale.copy_from_slice(&block[..1]);
    codes.copy_from_slice(&block[1..]);
}

/// Five bits with offset 16, the fifth of each in a word.
pub(super) fn q5_0(block: &[u8], codes: &mut [u8], scale: &mut [u8]) {
    scale.copy_from_slice(&block[..2]);
    for (code, five) in codes.iter_mut().zip(fives(&block[2..6], &block[6..])) {
        *code = five.wrapping_sub(16);
    }
}

pub(super) fn iq4_nl(block: &[u8], codes: &mut [u8], scale: &mut [u8]) {
    scale.copy_from_slice(&block[..2]);
    for (code, four) in codes.iter_mut().zip(nibbles(&block[2..])) {
        *code = LEVELS[usize::from(four)] as u8;
    }
}

/// Nibbles with a fifth bit each.
fn fives<'a>(high: &'a [u8], low: &'a [u8]) -> impl Iterator<Item = u8> + 'a {
    nibbles(low).enumerate().map(|(i, four)| four | (high[i / 8] >> (i % 8) & 1) << 4)
}

/// A block of 32 evenly spaced values: `d·q − m`.
pub(super) struct Even {
    pub(super) d: f32,
    pub(super) m: f32,
    pub(super) codes: [u8; 32],
}

impl Even {
    fn new(d: f32, m: f32, q: impl Iterator<Item = u8>) -> Self {
        let mut codes = [0; 32];
        codes.iter_mut().zip(q).for_each(|(code, q)| *code = q);
        Even { d, m, codes }
    }

    fn values(&self, out: &mut [f32]) {
        for (v, q) in out.iter_mut().zip(self.codes) {
            *v = self.d * f32::from(q) - self.m;
        }
    }
}

/// The block of this number in a block of a type.
pub(super) type EvenPart = fn(&[u8], usize) -> Even;

pub(super) fn q4_1(block: &[u8], _: usize) -> Even {
    Even::new(half(block, 0), -half(block, 2), nibbles(&block[4..]))
}

pub(super) fn q5_1(block: &[u8], _: usize) -> Even {
    Even::new(half(block, 0), -half(block, 2), fives(&block[4..8], &block[8..]))
}

/// Four bits; eight parts of 32 with a scale and a least value.
pub(super) fn q4_k(block: &[u8], part: usize) -> Even {
    even_k(block, part, &block[16..], |_| 0)
}

/// Five bits, the fifth in a mask.
pub(super) fn q5_k(block: &[u8], part: usize) -> Even {
    let high = &block[16..48];
    even_k(block, part, &block[48..], |i| (high[i] >> part & 1) << 4)
}

fn even_k(block: &[u8], part: usize, codes: &[u8], high: impl Fn(usize) -> u8) -> Even {
    let (scale, least) = six_bits(&block[4..16], part);
    let code = |(i, b): (usize, &u8)| b >> (part % 2 * 4) & 15 | high(i);
    let codes = codes[part / 2 * 32..][..32].iter().enumerate().map(code);
    Even::new(half(block, 0) * scale, half(block, 2) * least, codes)
}

/// The values of blocks of that kind.
pub(super) fn even(part: EvenPart, block: &[u8], out: &mut [f32]) {
    for (i, out) in out.chunks_exact_mut(32).enumerate() {
        part(block, i).values(out);
    }
}

/// Two bits; 16 parts of 16 with a scale and a least value of four bits each.
pub(super) fn q2_k(block: &[u8], out: &mut [f32]) {
    let (scales, codes) = (&block[..16], &block[16..80]);
    let (d, least) = (half(block, 80), half(block, 82));
    for (part, out) in out.chunks_exact_mut(16).enumerate() {
        let (d, m) = (d * f32::from(scales[part] & 15), least * f32::from(scales[part] >> 4));
        for (v, q) in out.iter_mut().zip(two_bits(codes, part)) {
            *v = d * f32::from(q) - m;
        }
    }
}

/// The codes of a part of 16 of those of two bits: a byte has those of four columns 32 apart.
fn two_bits(codes: &[u8], part: usize) -> impl Iterator<Item = u8> + '_ {
    let (start, shift) = (part / 8 * 32 + part % 2 * 16, part / 2 % 4 * 2);
    codes[start..start + 16].iter().map(move |b| b >> shift & 3)
}

/// Three bits with offset 4, the third in a mask; 16 parts with scales of six bits.
pub(super) fn q3_k(block: &[u8], out: &mut [f32]) {
    let (high, codes, scales, d) = (&block[..32], &block[32..96], &block[96..108], half(block, 108));
    for (part, out) in out.chunks_exact_mut(16).enumerate() {
        let low = scales[part % 8] >> (part / 8 * 4) & 15;
        let top = scales[8 + part % 4] >> (part / 4 * 2) & 3;
        let d = d * f32::from((low | top << 4) as i8 - 32);
        let third = high[part % 2 * 16..][..16].iter().map(|b| b >> (part / 2) & 1);
        for ((v, q), third) in out.iter_mut().zip(two_bits(codes, part)).zip(third) {
            *v = d * f32::from(q as i8 - if third == 1 { 0 } else { 4 });
        }
    }
}

/// Scale and least value of part `i` of eight, six bits each in twelve bytes.
fn six_bits(packed: &[u8], i: usize) -> (f32, f32) {
    let (scale, least) = if i < 4 {
        (packed[i] & 63, packed[i + 4] & 63)
    } else {
        (packed[i + 4] & 15 | packed[i - 4] >> 6 << 4, packed[i + 4] >> 4 | packed[i] >> 6 << 4)
    };
    (f32::from(scale), f32::from(least))
}

/// Six bits with offset 32, two of them in bytes of four columns 32 apart; 16 parts with scales of eight bits.
pub(super) fn q6_k(block: &[u8], out: &mut [f32]) {
    let (low, high, scales, d) = (&block[..128], &block[128..192], &block[192..208], half(block, 208));
    for (i, v) in out.iter_mut().enumerate() {
        // Halves of 128, quarters of 32 in them.
        let (half, quarter, column) = (i / 128, i / 32 % 4, i % 32);
        let four = low[half * 64 + quarter % 2 * 32 + column] >> (quarter / 2 * 4) & 15;
        let two = high[half * 32 + column] >> (quarter * 2) & 3;
        let d = d * f32::from(scales[i / 16] as i8);
        *v = d * f32::from((four | two << 4) as i8 - 32);
    }
}

/// Levels of a table; eight parts of 32 with scales of six bits.
pub(super) fn iq4_xs(block: &[u8], out: &mut [f32]) {
    let (d, high) = (half(block, 0), u16::from_le_bytes([block[2], block[3]]));
    for (part, out) in out.chunks_exact_mut(32).enumerate() {
        let low = block[4 + part / 2] >> (part % 2 * 4) & 15;
        let scale = (low | ((high >> (2 * part) & 3) as u8) << 4) as i8 - 32;
        let d = d * f32::from(scale);
        for (v, q) in out.iter_mut().zip(nibbles(&block[8 + 16 * part..][..16])) {
            *v = d * f32::from(LEVELS[usize::from(q)]);
        }
    }
}
