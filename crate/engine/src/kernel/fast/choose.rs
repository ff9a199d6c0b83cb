//! Choices on vectors: of experts, a token's by the part that is done last, and of the next token, by one part.

use moebius_vectors::Multiply;

use super::products::{GRAIN, grown};
use crate::device::{Call, Scratch};
use crate::format::Format;
use crate::kernel::{Argmax, TopK, go_on, topk};

pub(in crate::kernel) fn router(call: &Call<'_>, scratch: &mut Scratch) {
    let p: TopK = call.params();
    let (x, norm, weights, bias, chosen) = (call.f32(1), call.f32(2), call.u32(3), call.f32(5), call.out(6));
    let (cols, rows) = (p.hidden as usize, p.logits() as usize);
    // All parts have a part of a lone token's rows, and one of them chooses.
    let alone = call.tokens() == 1;
    let (mine, share) = if alone { (0..1, call.share(rows, GRAIN)) } else { (call.share(call.tokens(), 1), 0..rows) };
    let x = |t: usize| &x[t * cols..][..cols];
    scratch.inputs(call.path, Format::F32, Some((&norm[..cols], p.norm_eps)), mine.clone().map(x), cols);
    scratch.which.clear();
    scratch.which.extend(0..mine.len() as u32);
    let (format, scales, inputs, which) = (Format::F32, &[], &scratch.inputs, &scratch.which);
    let logits = if alone {
        // SAFETY: these rows are this part's.
        unsafe { call.common().f32(share.start, share.len()) }
    } else {
        grown(&mut scratch.products, mine.len() * rows)
    };
    (call.path.multiply)(&Multiply { format, weights, scales, cols, rows: share, inputs, which }, logits);
    if alone && !call.done_last() {
        return;
    }
    // SAFETY: all parts are done with theirs.
    let logits = if alone { unsafe { call.common().f32(0, rows) } } else { logits };
    let pairs = (p.chosen + p.shared_experts) as usize * 2;
    // SAFETY: these tokens are this part's.
    let chosen = unsafe { chosen.u32(mine.start * pairs, mine.len() * pairs) };
    for (t, logits) in logits.chunks_exact(rows).enumerate() {
        topk::choose(&p, logits, bias, t, chosen);
    }
}

pub(in crate::kernel) fn argmax(call: &Call<'_>, _: &mut Scratch) {
    if !call.first() {
        return;
    }
    let logits = &call.f32(1)[..call.params::<Argmax>().vocab as usize];
    let (largest, total) = (call.path.exps)(logits);
    // Not found where there is no number: then the sum is none either, which whoever reads it sees.
    let best = logits.iter().position(|v| *v == largest).unwrap_or(0) as u32;
    // SAFETY: one part alone writes these.
    let (state, tokens, result) = unsafe { (call.out(2).u32(0, 2), call.out(3).u32(0, 1), call.out(4).u32(0, 4)) };
    go_on(state, tokens, best);
    result.copy_from_slice(&[best, (-total.ln() as f32).to_bits(), 0, 0]);
}
