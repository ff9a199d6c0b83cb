//! Attention and what stands around it, and what the experts made, on vectors.

use core::ops::Range;

use moebius_vectors::{Attend, Cache, Multiply};

use super::products::grown;
use crate::device::{Call, Out, Scratch};
use crate::kernel::{self, Attention, Combine, Heads, MlaQuery, arithmetic};

pub(in crate::kernel) fn attention(call: &Call<'_>, scratch: &mut Scratch) {
    let p: Attention = call.params();
    if p.splits > 1 {
        // Splits are for devices that one token leaves idle; this one never asks for them.
        call.twin(kernel::ATTENTION.cpu);
        return;
    }
    for heads in shares(call, &p) {
        mixed(call, &p, heads, scratch);
    }
}

/// What a part does of the heads `t · heads + h`: of a prompt all heads of some tokens, the later of which take longer, and of few tokens
/// as many as others do, since heads read the cache together. As many at a time as are of one token and have room for their scores.
fn shares<'a>(call: &'a Call<'_>, p: &'a Attention) -> impl Iterator<Item = Range<usize>> + 'a {
    let (heads, tokens) = (p.heads as usize, call.tokens());
    let grain = if tokens < 4 * call.parts() { heads.div_ceil(call.parts()) } else { heads };
    let seen = call.u32(1)[0] as usize;
    let together = move |i: usize| (heads - i % heads).min((SCORES / (seen + i / heads + 1)).max(2));
    let each = (seen + tokens) * (p.k_width + p.v_width) as usize;
    call.shares(tokens * heads, grain, each).flat_map(move |mut share| {
        std::iter::from_fn(move || {
            let first = share.start;
            share.start = share.end.min(first + together(first));
            (first < share.end).then_some(first..share.start)
        })
    })
}

/// Scores that are in work at once, but for those of two heads.
const SCORES: usize = 1 << 18;

/// Attention of some heads of a token; what they mixed.
fn mixed<'a>(call: &Call<'a>, p: &Attention, share: Range<usize>, scratch: &mut Scratch) -> &'a [f32] {
    let (i, count) = (share.start, share.len());
    let (state, q) = (call.u32(1), call.f32(2));
    let (heads, k_width, v_width) = (p.heads as usize, p.k_width as usize, p.v_width as usize);
    let end = state[0] as usize + i / heads + 1;
    let start = if p.window == 0 { 0 } else { end.saturating_sub(p.window as usize) };
    let sharing = heads / p.kv_heads as usize;
    let group = i % heads / sharing;
    // SAFETY: these heads of this token are this part's.
    let y = unsafe { call.out(5).f32(i * v_width, count * v_width) };
    let marks = if p.apart == 1 { 2 } else { 0 };
    // SAFETY: likewise.
    let marks = unsafe { call.out(6).f32(marks * i, marks * count) };
    let (key, value) = (group * k_width, group * v_width);
    let cache = if p.half == 1 {
        Cache::F16(&call.f16(3)[key..], &call.f16(4)[value..])
    } else {
        Cache::F32(&call.f32(3)[key..], &call.f32(4)[value..])
    };
    (call.path.attend)(&mut Attend {
        q: &q[i * k_width..][..count * k_width],
        sharing,
        first: i % sharing,
        cache,
        // Other tokens of a prompt have read it; and of some heads alone a position's lines are not all that is there.
        far: call.tokens() == 1 && count == heads,
        k_width,
        v_width,
        k_stride: p.k_stride as usize,
        v_stride: p.v_stride as usize,
        seen: start..end,
        scale: p.scale,
        scores: grown(&mut scratch.row, count * (end - start)),
        y: &mut *y,
        marks,
    });
    y
}

pub(in crate::kernel) fn mla_attention(call: &Call<'_>, scratch: &mut Scratch) {
    let p: Attention = call.params();
    let (weights, scales, values) = (call.u32(7), call.u32(8), call.out(9));
    let (format, cols, heads, value) = (call.format(), p.v_width as usize, p.heads as usize, p.value as usize);
    for share in shares(call, &p) {
        let latents = mixed(call, &p, share.clone(), scratch);
        for (i, latent) in share.zip(latents.chunks_exact(cols)) {
            scratch.inputs(call.path, format, None, [latent].into_iter(), cols);
            let first = p.row_first as usize + i % heads * p.row_step as usize;
            let (rows, inputs, which) = (first..first + value, &scratch.inputs, &[0]);
            // SAFETY: this token's head is this part's.
            let values = unsafe { values.f32(i * value, value) };
            (call.path.multiply)(&Multiply { format, weights, scales, cols, rows, inputs, which }, values);
        }
    }
}

/// Writes numbers of a cache, from number `at` on.
///
/// # Safety
/// Nobody else may use these.
unsafe fn put(cache: Out<'_>, half: bool, at: usize, values: &[f32]) {
    if half {
        // SAFETY: the caller's; where there are halves, widths are even.
        arithmetic::store(unsafe { cache.u32(at / 2, values.len() / 2) }, 1, 0, values);
    } else {
        // SAFETY: the caller's.
        unsafe { cache.f32(at, values.len()) }.copy_from_slice(values);
    }
}

pub(in crate::kernel) fn heads(call: &Call<'_>, scratch: &mut Scratch) {
    let p: Heads = call.params();
    if p.norm > 1 {
        // All heads of a token normed together: few models have it, and it is small.
        call.twin(kernel::HEADS.cpu);
        return;
    }
    let (state, turns, x) = (call.u32(1), call.f32(2), call.f32(3));
    let norms = [call.f32(4), call.f32(5)];
    let (q, keys, values) = (call.out(6), call.out(7), call.out(8));
    let (heads, kv_heads, width) = (p.heads as usize, p.kv_heads as usize, p.width as usize);
    let (all, dims, half) = (heads + 2 * kv_heads, p.dims as usize, p.half == 1);
    for i in call.share(call.tokens() * all, 1) {
        let (t, h) = (i / all, i % all);
        let (x, place) = (&x[i * width..][..width], state[0] as usize + t);
        let cached = |h: usize| (place * kv_heads + h) * width;
        if h >= heads + kv_heads {
            // SAFETY: this token's head is this part's.
            unsafe { put(values, half, cached(h - heads - kv_heads), x) };
            continue;
        }
        let (y, norm) = if h < heads {
            // SAFETY: likewise.
            (unsafe { q.f32((t * heads + h) * width, width) }, norms[0])
        } else {
            (grown(&mut scratch.row, width), norms[1])
        };
        if p.norm == 1 {
            (call.path.norm)(x, &norm[..width], p.eps, y);
        } else {
            y.copy_from_slice(x);
        }
        arithmetic::rotate(&mut y[..dims], &turns[place * dims..][..dims], p.interleaved == 1);
        if h >= heads {
            // SAFETY: likewise.
            unsafe { put(keys, half, cached(h - heads), y) };
        }
    }
}

pub(in crate::kernel) fn mla_query(call: &Call<'_>, scratch: &mut Scratch) {
    let p: MlaQuery = call.params();
    let (state, turns, q, kv, kv_norm) = (call.u32(1), call.f32(2), call.f32(3), call.f32(4), call.f32(5));
    let (weights, scales, y, cache) = (call.u32(6), call.u32(7), call.out(8), call.out(9));
    let (heads, nope, rope, rank) = (p.heads as usize, p.nope as usize, p.rope as usize, p.rank as usize);
    let place = |t: usize| state[0] as usize + t;
    let turns = |t: usize| &turns[place(t) * rope..][..rope];
    let q = |t: usize, h: usize| &q[t * p.q_stride as usize + h * (nope + rope)..][..nope + rope];
    for h in call.share(heads, 1) {
        // SAFETY: this head is this part's, of every token.
        let y = |t: usize| unsafe { y.f32((t * heads + h) * (rank + rope), rank + rope) }.split_at_mut(rank);
        (0..call.tokens()).for_each(|t| y(t).0.fill(0.0));
        let row = grown(&mut scratch.row, rank);
        for i in 0..nope {
            call.format().decode_row(weights, scales, h * (nope + p.value as usize) + i, row);
            (0..call.tokens()).for_each(|t| (call.path.add_scaled)(y(t).0, q(t, h)[i], row));
        }
        for t in 0..call.tokens() {
            let turned = y(t).1;
            turned.copy_from_slice(&q(t, h)[nope..]);
            arithmetic::rotate(turned, turns(t), p.interleaved == 1);
        }
    }
    for t in call.share(call.tokens(), 1) {
        let kv = &kv[t * p.kv_stride as usize + p.kv_offset as usize..][..rank + rope];
        let row = grown(&mut scratch.row, rank + rope);
        let (latent, key) = row.split_at_mut(rank);
        (call.path.norm)(&kv[..rank], &kv_norm[..rank], p.eps, latent);
        key.copy_from_slice(&kv[rank..]);
        arithmetic::rotate(key, turns(t), p.interleaved == 1);
        // SAFETY: this token is this part's.
        unsafe { put(cache, p.half == 1, place(t) * (rank + rope), row) };
    }
}

pub(in crate::kernel) fn combine(call: &Call<'_>, _: &mut Scratch) {
    let p: Combine = call.params();
    let (x, chosen, y) = (call.f32(1), call.u32(2), call.out(3));
    let (hidden, k) = (p.hidden as usize, p.chosen as usize);
    for t in call.share(call.tokens(), 1) {
        // SAFETY: this token is this part's.
        let y = unsafe { y.f32(t * hidden, hidden) };
        for pair in t * k..(t + 1) * k {
            (call.path.add_scaled)(y, f32::from_bits(chosen[2 * pair + 1]), &x[pair * hidden..][..hidden]);
        }
    }
}
