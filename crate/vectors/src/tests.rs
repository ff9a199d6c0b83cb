//! Every path on slices that end where they must not be read beyond, small enough for Miri, which runs those without instructions of their
//! own: `npm run miri`.

use crate::format::{FORMATS, Format, from_f16, to_f16};
use crate::{Attend, Cache, Multiply, Path};

/// Numbers between −1 and 1.
fn spread(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0).collect()
}

fn near(got: f32, want: f32, of: f32, what: &str) {
    assert!((got - want).abs() <= 2e-3 * of.max(1e-3), "{what}: {got} and not {want}");
}

#[test]
fn rows_times_inputs() {
    // So many that rows are touched ahead, of one input and of panels, and some are left over.
    const ROWS: usize = 19;
    for path in Path::all() {
        for format in FORMATS {
            for cols in [13, 64, 160].into_iter().filter(|cols| format.fits(*cols)) {
                let (weights, scales) = format.encode(&spread(ROWS * cols, 1), ROWS, cols);
                let matrix: Vec<Vec<f32>> =
                    (0..ROWS).map(|row| decoded(format, &weights, &scales, row, cols)).collect();
                for count in [1, 3, 5] {
                    check(path, format, (&weights, &scales), &matrix, count);
                }
            }
        }
    }
}

fn decoded(format: Format, weights: &[u32], scales: &[u32], row: usize, cols: usize) -> Vec<f32> {
    let mut floats = vec![0.0; cols];
    format.decode_row(weights, scales, row, &mut floats);
    floats
}

/// Some rows of a matrix times `count` inputs, of which the last is left out where there are several.
fn check(path: &Path, format: Format, planes: (&[u32], &[u32]), matrix: &[Vec<f32>], count: usize) {
    let cols = matrix[0].len();
    let words = (path.input_words)(format, cols);
    let (mut inputs, mut row) = (vec![0; count * words], vec![0.0; cols]);
    let plain: Vec<Vec<f32>> = (0..count).map(|t| spread(cols, 2 + t)).collect();
    for (x, out) in plain.iter().zip(inputs.chunks_exact_mut(words)) {
        (path.input)(format, x, None, &mut row, out);
    }
    let which: Vec<u32> = (0..count.max(2) as u32 - 1).collect();
    let rows = 1..matrix.len();
    let mut out = vec![f32::NAN; which.len() * rows.len()];
    let (weights, scales) = planes;
    (path.multiply)(
        &Multiply { format, weights, scales, cols, rows: rows.clone(), inputs: &inputs, which: &which },
        &mut out,
    );
    for (t, out) in which.iter().zip(out.chunks_exact(rows.len())) {
        for (row, got) in rows.clone().zip(out) {
            let products = || matrix[row].iter().zip(&plain[*t as usize]).map(|(w, x)| w * x);
            let what = format!("{} {} {cols} columns, row {row} of {count}", path.name, format.name());
            near(*got, products().sum(), products().map(f32::abs).sum(), &what);
        }
    }
}

#[test]
fn attention_over_what_is_seen() {
    let (heads, width, stride, end) = (3, 22, 67, 70);
    // Numbers that are halves, two of them subnormal ones.
    let halves = |seed| -> Vec<u16> {
        let mut all: Vec<u16> = spread(end * stride, seed).iter().map(|v| to_f16(*v)).collect();
        all[..2].copy_from_slice(&[1, 0x8123]);
        all
    };
    let floats = |halves: &[u16]| -> Vec<f32> { halves.iter().map(|h| from_f16(*h)).collect() };
    let (q, half_keys, half_values) = (spread(heads * width, 3), halves(4), halves(5));
    let (all_keys, all_values) = (floats(&half_keys), floats(&half_values));
    for (path, (sharing, first)) in Path::all().into_iter().flat_map(|path| [(3, 0), (2, 1), (1, 0)].map(|g| (path, g)))
    {
        // What is seen ends where the last key does.
        let length = (end - 1) * stride + (first + heads).div_ceil(sharing) * width;
        let (keys, values) = (&all_keys[..length], &all_values[..length]);
        let cells = [Cache::F32(keys, values), Cache::F16(&half_keys[..length], &half_values[..length])];
        for (cache, seen) in cells.into_iter().flat_map(|cache| [0..0, 0..1, 2..3, 1..end].map(|seen| (cache, seen))) {
            let (mut scores, mut y) = (vec![0.0; heads * seen.len()], vec![f32::NAN; heads * width]);
            (path.attend)(&mut Attend {
                q: &q,
                sharing,
                first,
                cache,
                far: true,
                k_width: width,
                v_width: width,
                k_stride: stride,
                v_stride: stride,
                seen: seen.clone(),
                scale: 0.5,
                scores: &mut scores,
                y: &mut y,
                marks: &mut [],
            });
            for (h, (q, y)) in q.chunks_exact(width).zip(y.chunks_exact(width)).enumerate() {
                let at = |s: usize| s * stride + (first + h) / sharing * width;
                let score = |s: usize| 0.5 * q.iter().zip(&keys[at(s)..]).map(|(q, k)| q * k).sum::<f32>();
                let total: f32 = seen.clone().map(|s| score(s).exp()).sum();
                for (d, y) in y.iter().enumerate() {
                    let mixed = seen.clone().map(|s| score(s).exp() / total * values[at(s) + d]).sum();
                    near(*y, mixed, 1.0, path.name);
                }
            }
        }
    }
}

#[test]
fn norms_gates_and_sums() {
    for path in Path::all() {
        for count in [1, 16, 37] {
            let (x, weight) = (spread(count, 6), spread(count, 7));
            let mut y = vec![0.0; count];
            (path.norm)(&x, &weight, 1e-6, &mut y);
            let size = (x.iter().map(|x| x * x).sum::<f32>() / count as f32 + 1e-6).sqrt();
            let (mut gate, mut sum) = (x.clone(), weight.clone());
            (path.gate)(&mut gate, &weight);
            (path.add_scaled)(&mut sum, 0.75, &x);
            let (largest, total) = (path.exps)(&x);
            for i in 0..count {
                near(y[i], x[i] / size * weight[i], 1.0, path.name);
                near(gate[i], x[i] / (1.0 + (-x[i]).exp()) * weight[i], 1.0, path.name);
                near(sum[i], weight[i] + 0.75 * x[i], 1.0, path.name);
            }
            let want = x.iter().copied().fold(f32::MIN, f32::max);
            near(largest, want, 1.0, path.name);
            near(total as f32, x.iter().map(|x| (x - want).exp()).sum(), count as f32, path.name);
        }
    }
}
