//! Weight formats: what encoding may lose, and that the product reads what the decoder reads.

use moebius_engine::format::{FORMATS, Format};
use moebius_tests::Random;

/// The most that `value` may lose, in a block and in a tile of 128 columns with these largest values.
fn loss(format: Format, value: f32, block: f32, tile: f32) -> f32 {
    match format {
        Format::F32 => 0.0,
        // 11 and 8 significant bits, rounded to nearest; at least half a step between f16's subnormal numbers.
        Format::F16 => value.abs() / 2048.0 + 3e-8,
        Format::Bf16 => value.abs() / 256.0,
        // Half a step of 1/127, and a scale rounded to 11 bits times up to 127 steps.
        Format::Q8 => block * (0.5 / 127.0 + 1.0 / 2048.0),
        // Half a step of 1/8 for the plain rule; the search may clip an extreme by up to one and a half steps of 1/6.5.
        Format::Q4 => block * 1.5 / 6.5,
        // Half of the last of four significant bits, or half a step of subnormal numbers of which 448 is the largest value;
        // three roundings in f32.
        // Half a step of 2 between 4 and 6, or up to 2 less for what is above 6, of scales of which the largest is 4 to 8.
        Format::Mxfp4 => block * 2.0 / 8.0,
        Format::Fp8 => value.abs() * (1.0 / 16.0 + 2e-7) + tile * 0.501 / 512.0 / 448.0,
    }
}

/// The root of the mean square loss, as a part of the root of the mean square value, for values spread as weights are.
fn typical_loss(format: Format) -> f32 {
    match format {
        Format::F32 => 0.0,
        Format::F16 => 3e-4,
        Format::Bf16 => 2.5e-3,
        Format::Q8 => 6e-3,
        Format::Q4 => 0.09,
        Format::Fp8 => 0.03,
        Format::Mxfp4 => 0.13,
    }
}

#[test]
fn decoding_gives_back_what_was_encoded_within_the_bound() {
    let (rows, cols) = (9, 160);
    let largest = |values: &[f32]| values.iter().fold(0f32, |m, v| m.max(v.abs()));
    for format in FORMATS {
        for scale in [1.0, 1e-2, 300.0] {
            let values = Random::new(1).floats(rows * cols, scale);
            let decoded = roundtrip(format, &values, rows, cols);
            let (mut lost, mut total) = (0f64, 0f64);
            for (i, (want, got)) in values.iter().zip(&decoded).enumerate() {
                let (row, col) = (&values[i / cols * cols..][..cols], i % cols);
                let around = |size: usize| largest(&row[col / size * size..cols.min((col / size + 1) * size)]);
                let (diff, most) = ((want - got).abs(), loss(format, *want, around(32), around(128)));
                assert!(diff <= most, "{format:?} scale {scale} value {i}: {got} for {want}");
                lost += f64::from(diff * diff);
                total += f64::from(want * want);
            }
            let typical = (lost / total).sqrt() as f32;
            println!("{:5} scale {scale:5}: root mean square loss {typical:.2e}", format.name());
            assert!(typical <= typical_loss(format), "{format:?} scale {scale}: {typical}");
        }
    }
}

/// Every code of a small float by the definition: sign, `exponent` bits with this bias, `fraction` bits.
fn small(code: u8, exponent: u32, fraction: u32, bias: i32) -> f64 {
    let e = i32::from(code >> fraction) & ((1 << exponent) - 1);
    let part = f64::from(code & ((1 << fraction) - 1)) / f64::from(1 << fraction);
    let size = if e == 0 { part * 2f64.powi(1 - bias) } else { (1.0 + part) * 2f64.powi(e - bias) };
    if code >> (exponent + fraction) & 1 == 1 { -size } else { size }
}

#[test]
fn every_code_of_e4m3_is_exact_and_what_lies_between_goes_to_the_nearest() {
    let value = |code: u8| small(code, 4, 3, 7);
    let codes: Vec<u8> = (0..=255).filter(|c| c & 127 != 127).collect();
    assert!((value(0x7E), value(0x01), value(0xB8)) == (448.0, 1.0 / 512.0, -1.0));
    for scale in [1.0f32, 3.7e-5, -0.2] {
        let words: Vec<u32> = codes.iter().map(|c| u32::from(*c)).collect();
        let scales = [scale.to_bits()];
        for (word, code) in words.iter().zip(&codes) {
            let mut out = [7.0; 1];
            Format::Fp8.decode_row(&[*word, 0, 0, 0, 0, 0, 0, 0], &scales, 0, &mut out);
            assert_eq!(out[0], value(*code) as f32 * scale, "code {code}");
            assert_eq!(Format::Fp8.dot(&[*word, 0, 0, 0, 0, 0, 0, 0], &scales, 0, &[1.0]), out[0], "code {code}");
        }
    }
    // A largest value of 448 makes the scale 1.
    let byte = |v: f32| Format::Fp8.encode(&[448.0, v], 1, 2).0[0] >> 8 & 255;
    for code in 0..0x7Eu8 {
        let (here, next) = (value(code) as f32, value(code + 1) as f32);
        let middle = (here + next) / 2.0;
        let even = code + (code & 1);
        for (v, want) in
            [(here, code), (middle, even), (middle.next_down(), code), (middle.next_up(), code + 1), (next, code + 1)]
        {
            assert_eq!(byte(v), u32::from(want), "{v}");
            assert_eq!(byte(-v), u32::from(want | 128), "{}", -v);
        }
    }
}

#[test]
fn every_code_of_e2m1_is_exact_and_what_lies_between_goes_to_the_nearest() {
    let value = |code: u8| small(code, 2, 1, 1);
    assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 15].map(value), [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -6.0]);
    for power in [0u8, 1, 60, 127, 200, 252] {
        let scale = 2f64.powi(i32::from(power) - 127);
        for code in 0..16u8 {
            // Column 2 is the low half of byte 2, column 18 the high one.
            for (col, word) in [(2, u32::from(code) << 16), (18, u32::from(code) << 20)] {
                let (mut out, mut x) = ([7.0f32; 32], [0.0f32; 32]);
                x[col] = 1.0;
                let (weights, scales) = ([word, 0, 0, 0], [u32::from(power) << 8]);
                Format::Mxfp4.decode_row(&[[0; 4], weights].concat(), &scales, 1, &mut out);
                let dot = Format::Mxfp4.dot(&[[0; 4], weights].concat(), &scales, 1, &x);
                assert!(f64::from(out[col]) == value(code) * scale && dot == out[col], "code {code} power {power}");
                assert!(out.iter().enumerate().all(|(i, v)| i == col || *v == 0.0), "{out:?}");
            }
        }
    }
    // A largest value from 4 to 8 makes the scale 1; above 6 there is nothing.
    let nibble = |v: f32| {
        let values: Vec<f32> = [4.0, v].into_iter().chain([0.0; 30]).collect();
        let (weights, scales) = Format::Mxfp4.encode(&values, 1, 32);
        assert_eq!(scales, [127]);
        weights[0] >> 8 & 15
    };
    for code in 0..7u8 {
        let (here, next) = (value(code) as f32, value(code + 1) as f32);
        let middle = (here + next) / 2.0;
        let even = code + (code & 1);
        for (v, want) in
            [(here, code), (middle, even), (middle.next_down(), code), (middle.next_up(), code + 1), (next, code + 1)]
        {
            assert_eq!(nibble(v), u32::from(want), "{v}");
            assert_eq!(nibble(-v), u32::from(want | 8), "{}", -v);
        }
    }
    assert_eq!((nibble(7.99), nibble(-7.99)), (7, 15));
}

/// The scale of the specification: floor(log2(largest)) - 2, as far as a byte goes.
#[test]
fn powers_of_mxfp4_follow_the_largest_value() {
    for (largest, power) in [
        (1.0, 125),
        (1.999, 125),
        (2.0, 126),
        (6.0, 127),
        (8.0, 128),
        (-0.3, 123),
        (f32::MAX, 252),
        (f32::MIN_POSITIVE, 0),
        (1e-40, 0),
        (0.0, 0),
    ] {
        let mut values = [0.0f32; 160];
        values[129] = largest;
        let (_, scales) = Format::Mxfp4.encode(&values, 1, 160);
        assert_eq!(scales, [0, power], "{largest}");
    }
}

/// Ends of rows: a scale for what is left of 128 columns, and zeros up to whole blocks.
#[test]
fn fp8_takes_rows_of_any_length() {
    for cols in [1, 31, 33, 127, 128, 129, 255, 300] {
        let values = Random::new(cols as u64).floats(3 * cols, 2.0);
        let (weights, scales) = Format::Fp8.encode(&values, 3, cols);
        assert_eq!((weights.len(), scales.len()), (3 * cols.div_ceil(32) * 8, 3 * cols.div_ceil(128)));
        let bytes: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert!(bytes.chunks(cols.next_multiple_of(32)).all(|row| row[cols..].iter().all(|b| *b == 0)));
        for (r, row) in values.chunks(cols).enumerate() {
            for (t, tile) in row.chunks(128).enumerate() {
                let largest = tile.iter().fold(0f32, |m, v| m.max(v.abs()));
                assert_eq!(f32::from_bits(scales[r * cols.div_ceil(128) + t]), largest / 448.0);
            }
        }
    }
}

#[test]
fn encoding_what_was_decoded_changes_nothing_in_float_formats_and_eight_bits() {
    for format in [Format::F32, Format::F16, Format::Bf16, Format::Q8, Format::Fp8] {
        let once = roundtrip(format, &Random::new(2).floats(4 * 64, 1.0), 4, 64);
        let twice = roundtrip(format, &once, 4, 64);
        // The scale of q8 is rounded again, once more by at most its last bit; that of fp8 by the last bit of f32.
        let allowed = match format {
            Format::Q8 => 1.0 / 1024.0,
            Format::Fp8 => 3e-7,
            _ => 0.0,
        };
        assert!(once.iter().zip(&twice).all(|(a, b)| (a - b).abs() <= allowed * a.abs()), "{format:?}");
    }
}

/// Files that others made in 4 bits come through unchanged: their rule gives the extreme of a block code 0, whose step is
/// then the first that the encoder tries.
#[test]
fn int4_blocks_whose_extreme_is_code_zero_come_back_exactly() {
    let noise = Random::new(3).floats(64 * 32, 1.0);
    let values: Vec<f32> = noise
        .chunks_exact(32)
        .enumerate()
        .flat_map(|(block, noise)| {
            let at = block % 32;
            let sign = if block % 2 == 0 { 1.0 } else { -1.0 };
            let step = sign * (1025 + 16 * block) as f32 / 65536.0; // 11 bits, as f16 has
            let code = move |(i, v): (usize, &f32)| if i == at { -8.0 } else { (v * 5.0).round().clamp(-7.0, 7.0) };
            noise.iter().enumerate().map(code).map(move |code| code * step).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(roundtrip(Format::Q4, &values, 32, 64), values);
}

#[test]
fn blocks_of_zeros_and_of_one_spike_survive() {
    for format in FORMATS {
        let zeros = roundtrip(format, &[0.0; 64], 1, 64);
        assert!(zeros.iter().all(|v| *v == 0.0), "{format:?}: {zeros:?}");
        for spike in [1.0, -1.0] {
            let mut values = [0.0; 32];
            values[5] = spike;
            let got = roundtrip(format, &values, 1, 32);
            assert!((got[5] - spike).abs() < 2e-3, "{format:?}: {} for {spike}", got[5]);
            assert!(got.iter().enumerate().all(|(i, v)| i == 5 || *v == 0.0), "{format:?}: {got:?}");
        }
    }
}

#[test]
fn odd_rows_of_half_formats_start_at_whole_words() {
    for format in [Format::F16, Format::Bf16] {
        let values: Vec<f32> = (0..15).map(|v| v as f32).collect();
        assert_eq!(roundtrip(format, &values, 5, 3), values);
        assert_eq!(format.encode(&values, 5, 3).0.len(), 5 * format.row_words(3));
    }
}

#[test]
fn the_product_reads_what_the_decoder_reads() {
    let (rows, cols) = (5, 128);
    let mut random = Random::new(3);
    let (values, x) = (random.floats(rows * cols, 1.0), random.floats(cols, 1.0));
    for format in FORMATS {
        let (weights, scales) = format.encode(&values, rows, cols);
        let mut row = vec![0.0; cols];
        for r in 0..rows {
            format.decode_row(&weights, &scales, r, &mut row);
            let want: f64 = row.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            let got = f64::from(format.dot(&weights, &scales, r, &x));
            assert!((got - want).abs() <= 1e-5 * cols as f64, "{format:?} row {r}: {got} for {want}");
        }
    }
}

#[test]
fn planes_have_the_sizes_that_are_announced() {
    for format in FORMATS {
        for (rows, cols) in [(1, 32), (3, 96), (7, 64)] {
            let (weights, scales) = format.encode(&vec![0.5; rows * cols], rows, cols);
            assert_eq!(weights.len(), rows * format.row_words(cols), "{format:?}");
            assert_eq!(scales.len(), format.scale_words(rows, cols), "{format:?}");
        }
        assert_eq!(format.fits(33), !format.is_block());
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
}

fn roundtrip(format: Format, values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let (weights, scales) = format.encode(values, rows, cols);
    let mut out = vec![0.0; rows * cols];
    out.chunks_exact_mut(cols).enumerate().for_each(|(r, row)| format.decode_row(&weights, &scales, r, row));
    out
}
