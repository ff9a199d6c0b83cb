//! Weight formats: what encoding may lose, and that the product reads what the decoder reads.

use moebius_engine::format::{FORMATS, Format};
use moebius_tests::Random;

/// The most that a value may lose, as a part of the largest value of its block (of itself, for float formats).
fn loss(format: Format) -> f32 {
    match format {
        Format::F32 => 0.0,
        // 11 and 8 significant bits, rounded to nearest.
        Format::F16 => 1.0 / 2048.0,
        Format::Bf16 => 1.0 / 256.0,
        // Half a step of 1/127, and a scale rounded to 11 bits times up to 127 steps.
        Format::Q8 => 0.5 / 127.0 + 1.0 / 2048.0,
        // Half a step of 1/8 for the plain rule; the search may clip an extreme by up to one and a half steps of 1/6.5.
        Format::Q4 => 1.5 / 6.5,
    }
}

/// The most that the smallest values may lose: half a step between f16's subnormal numbers.
fn least(format: Format) -> f32 {
    if format == Format::F16 { 3e-8 } else { 0.0 }
}

/// The root of the mean square loss, as a part of the root of the mean square value, for values spread as weights are.
fn typical_loss(format: Format) -> f32 {
    match format {
        Format::F32 => 0.0,
        Format::F16 => 3e-4,
        Format::Bf16 => 2.5e-3,
        Format::Q8 => 6e-3,
        Format::Q4 => 0.09,
    }
}

#[test]
fn decoding_gives_back_what_was_encoded_within_the_bound() {
    let (rows, cols) = (9, 96);
    for format in FORMATS {
        for scale in [1.0, 1e-2, 300.0] {
            let values = Random::new(1).floats(rows * cols, scale);
            let decoded = roundtrip(format, &values, rows, cols);
            let (mut lost, mut total) = (0f64, 0f64);
            for (block, (want, got)) in values.chunks(32).zip(decoded.chunks(32)).enumerate() {
                let largest = want.iter().fold(0f32, |m, v| m.max(v.abs()));
                for (want, got) in want.iter().zip(got) {
                    let of = if format.is_block() { largest } else { want.abs() };
                    let diff = (want - got).abs();
                    assert!(
                        diff <= loss(format) * of + least(format),
                        "{format:?} scale {scale} block {block}: {got} for {want}"
                    );
                    lost += f64::from(diff * diff);
                    total += f64::from(want * want);
                }
            }
            let typical = (lost / total).sqrt() as f32;
            println!("{:4} scale {scale:5}: root mean square loss {typical:.2e}", format.name());
            assert!(typical <= typical_loss(format), "{format:?} scale {scale}: {typical}");
        }
    }
}

#[test]
fn encoding_what_was_decoded_changes_nothing_in_float_formats_and_q8() {
    for format in [Format::F32, Format::F16, Format::Bf16, Format::Q8] {
        let once = roundtrip(format, &Random::new(2).floats(4 * 64, 1.0), 4, 64);
        let twice = roundtrip(format, &once, 4, 64);
        // The scale of q8 is rounded again, once more by at most its last bit.
        let allowed = if format == Format::Q8 { 1.0 / 1024.0 } else { 0.0 };
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
        assert_eq!(format.check("w", 33).is_err(), format.is_block());
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
}

fn roundtrip(format: Format, values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let (weights, scales) = format.encode(values, rows, cols);
    let mut out = vec![0.0; rows * cols];
    out.chunks_exact_mut(cols).enumerate().for_each(|(r, row)| format.decode_row(&weights, &scales, r, row));
    out
}
