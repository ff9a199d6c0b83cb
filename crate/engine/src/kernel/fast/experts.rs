//! The experts on vectors: for few tokens each reads its own, for many each expert is read once.

use core::ops::Range;

use moebius_vectors::Multiply;

use super::products::{GRAIN, grown, rows};
use crate::device::{Call, Scratch};
use crate::kernel::{ExpertsDown, ExpertsMatmul, ExpertsUp, arithmetic};

pub(in crate::kernel) fn experts_up(call: &Call<'_>, scratch: &mut Scratch) {
    let p: ExpertsUp = call.params();
    let (x, norm) = (call.f32(1), call.f32(2));
    let (chosen, slots, pool, y) = (call.u32(3), call.u32(4), call.u32(5), call.out(6));
    let (cols, width, k, format) = (p.hidden as usize, p.width as usize, p.chosen as usize, call.format());
    let norm = (p.norm == 1).then(|| (&norm[..cols], p.eps));
    let x = |t: usize| &x[t * cols..][..cols];
    scratch.inputs(call.path, format, norm, (0..call.tokens()).map(x), cols);
    for (j, share) in rows(call, call.tokens() * k, width, 2 * cols) {
        let record = arithmetic::record(pool, slots, chosen[2 * j], p.stride);
        let matrix = Matrix { record, weights: p.weights, scales: p.scales, bias: p.bias, cols };
        // Gates and ups lie in turn.
        let rows = 2 * share.start..2 * share.end;
        let products = multiply(call, &matrix, rows, &scratch.inputs, &[(j / k) as u32], &mut scratch.products);
        // SAFETY: these rows are this part's.
        let y = unsafe { y.f32(j * p.outputs as usize + p.first as usize + share.start, share.len()) };
        gate(call, products, p.limit, &mut scratch.row, y);
    }
}

/// A matrix in the record of an expert: where its planes and its biases start there, in words.
struct Matrix<'a> {
    record: &'a [u32],
    weights: u32,
    scales: u32,
    bias: u32,
    cols: usize,
}

/// Rows of it times inputs, with its biases: `[which, rows]`.
fn multiply<'a>(
    call: &Call<'_>,
    matrix: &Matrix<'_>,
    rows: Range<usize>,
    inputs: &[u32],
    which: &[u32],
    space: &'a mut Vec<f32>,
) -> &'a mut [f32] {
    let Matrix { record, weights, scales, bias, cols } = *matrix;
    let (format, weights, scales) = (call.format(), &record[weights as usize..], &record[scales as usize..]);
    let (height, bias) = (rows.len(), arithmetic::biases(record, bias, rows.clone()));
    let products = grown(space, which.len() * height);
    (call.path.multiply)(&Multiply { format, weights, scales, cols, rows, inputs, which }, products);
    if !bias.is_empty() {
        products.chunks_exact_mut(height).for_each(|products| (call.path.add_scaled)(products, 1.0, bias));
    }
    products
}

/// What gates and ups in turn make.
fn gate(call: &Call<'_>, products: &[f32], limit: f32, row: &mut Vec<f32>, y: &mut [f32]) {
    if limit > 0.0 {
        for (y, two) in y.iter_mut().zip(products.chunks_exact(2)) {
            *y = arithmetic::swiglu(two[0], two[1], limit);
        }
        return;
    }
    let ups = grown(row, y.len());
    for ((two, gate), up) in products.chunks_exact(2).zip(&mut *y).zip(&mut *ups) {
        (*gate, *up) = (two[0], two[1]);
    }
    (call.path.gate)(y, ups);
}

pub(in crate::kernel) fn experts_down(call: &Call<'_>, scratch: &mut Scratch) {
    let p: ExpertsDown = call.params();
    let (x, chosen, slots, pool, y) = (call.f32(1), call.u32(2), call.u32(3), call.u32(4), call.out(5));
    let (hidden, cols, k, format) = (p.hidden as usize, p.width as usize, p.chosen as usize, call.format());
    scratch.inputs(call.path, format, None, (0..call.tokens() * k).map(|j| &x[j * cols..][..cols]), cols);
    for share in call.shares(hidden, GRAIN, call.tokens() * k * cols) {
        for j in 0..call.tokens() * k {
            let weight = f32::from_bits(chosen[2 * j + 1]);
            let record = arithmetic::record(pool, slots, chosen[2 * j], p.stride);
            let matrix = Matrix { record, weights: p.weights, scales: p.scales, bias: p.bias, cols };
            let products = multiply(call, &matrix, share.clone(), &scratch.inputs, &[j as u32], &mut scratch.products);
            // SAFETY: these rows are this part's.
            let y = unsafe { y.f32(j / k * p.outputs as usize + p.first as usize + share.start, share.len()) };
            (call.path.add_scaled)(y, weight, products);
        }
    }
}

pub(in crate::kernel) fn experts_matmul(call: &Call<'_>, scratch: &mut Scratch) {
    let p: ExpertsMatmul = call.params();
    let (x, norm) = (call.f32(1), call.f32(2));
    let (sorted, slots, pool, y) = (call.u32(3), call.u32(4), call.u32(5), call.out(6));
    let (cols, format) = (p.cols as usize, call.format());
    let (firsts, pairs) = sorted.split_at(p.experts as usize + 1);
    // As many as the list names: it may be of some experts alone.
    let pairs = &pairs[..firsts[p.experts as usize] as usize];
    let inputs = pairs.iter().max().map_or(0, |last| (last / p.sharing) as usize + 1);
    let norm = (p.norm == 1).then(|| (&norm[..cols], p.eps));
    scratch.inputs(call.path, format, norm, (0..inputs).map(|i| &x[i * cols..][..cols]), cols);
    let (experts, outputs) = (p.experts as usize, (p.rows >> p.gated) as usize);
    // As if all experts had as many pairs.
    let each = (cols << p.gated) * pairs.len() / experts.max(1);
    for (e, share) in rows(call, experts, outputs, each) {
        let pairs = &pairs[firsts[e] as usize..firsts[e + 1] as usize];
        if pairs.is_empty() {
            continue;
        }
        let record = arithmetic::record(pool, slots, e as u32, p.stride);
        let matrix = Matrix { record, weights: p.weights, scales: p.scales, bias: p.bias, cols };
        scratch.which.clear();
        scratch.which.extend(pairs.iter().map(|pair| pair / p.sharing));
        let rows = share.start << p.gated..share.end << p.gated;
        let products = multiply(call, &matrix, rows.clone(), &scratch.inputs, &scratch.which, &mut scratch.products);
        for (pair, products) in pairs.iter().zip(products.chunks_exact(rows.len())) {
            // SAFETY: these rows are this part's, and a pair is of one expert.
            let y = unsafe { y.f32((pair * p.outputs + p.first) as usize + share.start, share.len()) };
            if p.gated == 1 {
                gate(call, products, p.limit, &mut scratch.row, y);
            } else {
                y.copy_from_slice(products);
            }
        }
    }
}
