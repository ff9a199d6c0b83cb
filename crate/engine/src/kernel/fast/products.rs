//! `matvec` and `matmul` on vectors: the same code, since inputs are taken as many at a time as there are.

use core::ops::Range;

use moebius_vectors::Multiply;

use crate::device::{Call, Scratch};
use crate::kernel::matvec::Params;

/// Rows that are given to a part at least: those of a panel, which are multiplied together however many they are.
pub(super) const GRAIN: usize = moebius_vectors::HEIGHT;

pub(in crate::kernel) fn matvec(call: &Call<'_>, scratch: &mut Scratch) {
    run(call, scratch, 1);
}

pub(in crate::kernel) fn matmul(call: &Call<'_>, scratch: &mut Scratch) {
    run(call, scratch, 2);
}

/// The product, with the bindings from `x` on starting at `first`.
fn run(call: &Call<'_>, scratch: &mut Scratch, first: usize) {
    let p: Params = call.params();
    let (x, norm) = (call.f32(first), call.f32(first + 1));
    let (weights, scales, y) = (call.u32(first + 2), call.u32(first + 3), call.out(first + 4));
    let (cols, format, tokens) = (p.cols as usize, call.format(), call.tokens());
    let bias = call.f32(first + 5);
    let norm = (p.norm == 1).then(|| (&norm[..cols], p.eps));
    let (outputs, gated) = (p.outputs() as usize, p.gated == 1);
    scratch.which.clear();
    scratch.which.extend(0..tokens as u32);
    let mut laid = None;
    for (i, share) in rows(call, p.batch as usize, outputs, (1 + usize::from(gated)) * cols * tokens) {
        let count = share.len();
        if laid != Some(i) {
            let x = |t: usize| &x[t * p.x_stride as usize + i * p.x_step as usize..][..cols];
            scratch.inputs(call.path, format, norm, (0..tokens).map(x), cols);
            laid = Some(i);
        }
        let products = grown(&mut scratch.products, (1 + usize::from(gated)) * tokens * count);
        for (half, products) in products.chunks_exact_mut((tokens * count).max(1)).enumerate() {
            let first = p.row_first as usize + i * p.row_step as usize + half * p.rows as usize / 2;
            let (rows, inputs, which) = (first + share.start..first + share.end, &scratch.inputs, &scratch.which);
            (call.path.multiply)(&Multiply { format, weights, scales, cols, rows, inputs, which }, products);
        }
        let (products, ups) = products.split_at_mut(tokens * count);
        if gated {
            (call.path.gate)(products, ups);
        }
        for t in 0..tokens {
            let start = t * p.y_stride as usize + i * p.y_step as usize + p.first as usize + share.start;
            // SAFETY: these rows are this part's.
            let y = unsafe { y.f32(start, count) };
            let made = &mut products[t * count..][..count];
            if p.bias == 1 {
                (call.path.add_scaled)(made, 1.0, &bias[p.first as usize..][share.clone()]);
            }
            // What it is all of is written once.
            if p.accumulate == 0 && p.scale == 1.0 {
                y.copy_from_slice(made);
                continue;
            }
            if p.accumulate == 0 {
                y.fill(0.0);
            }
            (call.path.add_scaled)(y, p.scale, made);
        }
    }
}

/// What a part does of so many matrices of `outputs` rows, each of so many multiplications: which matrix, and which of its rows. A panel
/// is never cut.
pub(super) fn rows(
    call: &Call<'_>,
    matrices: usize,
    outputs: usize,
    each: usize,
) -> impl Iterator<Item = (usize, Range<usize>)> {
    let grain = if matrices == 1 || outputs.is_multiple_of(GRAIN) { GRAIN } else { outputs };
    call.shares(matrices * outputs, grain, each).flat_map(move |share| {
        (share.start / outputs..share.end.div_ceil(outputs)).map(move |i| {
            let first = i * outputs;
            (i, share.start.max(first) - first..share.end.min(first + outputs) - first)
        })
    })
}

/// The first `count` floats of working space that grows as it must.
pub(super) fn grown(space: &mut Vec<f32>, count: usize) -> &mut [f32] {
    if space.len() < count {
        space.resize(count, 0.0);
    }
    &mut space[..count]
}
