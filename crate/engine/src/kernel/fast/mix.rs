//! Attention and what stands around it, and what the experts made, on vectors.

use moebius_vectors::{Attend, Multiply};

use super::products::grown;
use crate::device::{Call, Scratch};
use crate::kernel::{self, Attention, Combine, Heads, MlaQuery, arithmetic};

pub(in crate::kernel) fn attention(call: &Call<'_>, scratch: &mut Scratch) {
    let p: Attention = call.params();
    if p.splits > 1 || p.half == 1 {
        // Splits are for devices that one token leaves idle, halves for those with little memory; this one never asks for them.
        call.twin(kernel::ATTENTION.cpu);
        return;
    }
    for i in call.share(call.tokens() * p.heads as usize, 1) {
        head(call, &p, i, scratch);
    }
}

/// Attention of one head of one token, `i = t · heads + h`; what it mixed.
fn head<'a>(call: &Call<'a>, p: &Attention, i: usize, scratch: &mut Scratch) -> &'a [f32] {
    let (state, q, keys, values) = (call.u32(1), call.f32(2), call.f32(3), call.f32(4));
    let (heads, k_width, v_width) = (p.heads as usize, p.k_width as usize, p.v_width as usize);
    let end = state[0] as usize + i / heads + 1;
    let start = if p.window == 0 { 0 } else { end.saturating_sub(p.window as usize) };
    let group = i % heads / (heads / p.kv_heads as usize);
    // SAFETY: this token's head is this part's.
    let y = unsafe { call.out(5).f32(i * v_width, v_width) };
    let marks = if p.apart == 1 { 2 } else { 0 };
    // SAFETY: likewise.
    let marks = unsafe { call.out(6).f32(marks * i, marks) };
    (call.path.attend)(&mut Attend {
        q: &q[i * k_width..][..k_width],
        keys: &keys[group * k_width..],
        values: &values[group * v_width..],
        k_width,
        v_width,
        k_stride: p.k_stride as usize,
        v_stride: p.v_stride as usize,
        seen: start..end,
        scale: p.scale,
        scores: grown(&mut scratch.row, end - start),
        y: &mut *y,
        marks,
    });
    y
}

pub(in crate::kernel) fn mla_attention(call: &Call<'_>, scratch: &mut Scratch) {
    let p: Attention = call.params();
    if p.half == 1 {
        call.twin(kernel::MLA_ATTENTION.cpu);
        return;
    }
    let (weights, scales, values) = (call.u32(7), call.u32(8), call.out(9));
    let (format, cols, heads, value) = (call.format(), p.v_width as usize, p.heads as usize, p.value as usize);
    for i in call.share(call.tokens() * heads, 1) {
        let latent = head(call, &p, i, scratch);
        scratch.inputs(call.path, format, None, [latent].into_iter(), cols);
        let first = p.row_first as usize + i % heads * p.row_step as usize;
        let (rows, inputs, which) = (first..first + value, &scratch.inputs, &[0]);
        // SAFETY: this token's head is this part's.
        let values = unsafe { values.f32(i * value, value) };
        (call.path.multiply)(&Multiply { format, weights, scales, cols, rows, inputs, which }, values);
    }
}

pub(in crate::kernel) fn heads(call: &Call<'_>, _: &mut Scratch) {
    let p: Heads = call.params();
    if p.norm > 1 || p.half == 1 {
        // All heads of a token normed together: few models have it, and it is small. Halves: as above.
        call.twin(kernel::HEADS.cpu);
        return;
    }
    let (state, turns, x) = (call.u32(1), call.f32(2), call.f32(3));
    let norms = [call.f32(4), call.f32(5)];
    let (q, keys, values) = (call.out(6), call.out(7), call.out(8));
    let (heads, kv_heads, width) = (p.heads as usize, p.kv_heads as usize, p.width as usize);
    let (all, dims) = (heads + 2 * kv_heads, p.dims as usize);
    for i in call.share(call.tokens() * all, 1) {
        let (t, h) = (i / all, i % all);
        let (x, place) = (&x[i * width..][..width], state[0] as usize + t);
        let cached = |h: usize| (place * kv_heads + h) * width;
        // SAFETY: this token's head is this part's.
        let (y, norm) = unsafe {
            if h < heads {
                (q.f32((t * heads + h) * width, width), norms[0])
            } else if h < heads + kv_heads {
                (keys.f32(cached(h - heads), width), norms[1])
            } else {
                values.f32(cached(h - heads - kv_heads), width).copy_from_slice(x);
                continue;
            }
        };
        if p.norm == 1 {
            (call.path.norm)(x, &norm[..width], p.eps, y);
        } else {
            y.copy_from_slice(x);
        }
        arithmetic::rotate(&mut y[..dims], &turns[place * dims..][..dims], p.interleaved == 1);
    }
}

pub(in crate::kernel) fn mla_query(call: &Call<'_>, scratch: &mut Scratch) {
    let p: MlaQuery = call.params();
    if p.half == 1 {
        call.twin(kernel::MLA_QUERY.cpu);
        return;
    }
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
        // SAFETY: this token is this part's.
        let (latent, key) = unsafe { cache.f32(place(t) * (rank + rope), rank + rope) }.split_at_mut(rank);
        (call.path.norm)(&kv[..rank], &kv_norm[..rank], p.eps, latent);
        key.copy_from_slice(&kv[rank..]);
        arithmetic::rotate(key, turns(t), p.interleaved == 1);
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
