// Into latent attention: absorbed queries y[h] = [W_uk,hᵀ · q_nope,h, turned q_rope,h], and the normed latent with the turned
// shared key, which go into the cache. A workgroup takes a head of a token, the one after the heads its latent. Four
// invocations share a block of columns: each takes every fourth row, and the sums meet by subgroup operations, or in workgroup
// memory.
const THREADS = 64u;
#import format
#import planes
#import reduce
#import state
#import turn

struct Params {
    heads: u32,
    nope: u32,
    rope: u32,
    value: u32,
    rank: u32,
    q_stride: u32,
    kv_stride: u32,
    kv_offset: u32,
    interleaved: u32,
    eps: f32,
    half: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> turns: array<vec2<f32>>; // [context, rope/2]: cosine, sine
@group(0) @binding(3) var<storage, read> q: array<f32>; // [T, q_stride]
@group(0) @binding(4) var<storage, read> kv: array<f32>; // [T, kv_stride]
@group(0) @binding(5) var<storage, read> kv_norm: array<f32>; // [rank]
@group(0) @binding(6) var<storage, read> weights: array<vec4<u32>>; // plane [heads·(nope + value), rank]
@group(0) @binding(7) var<storage, read> scales: array<u32>; // plane [heads·(nope + value), rank/32]
@group(0) @binding(8) var<storage, read_write> y: array<f32>; // [T, heads, rank + rope]
@group(0) @binding(9) var<storage, read_write> cache: array<u32>; // [context, rank + rope], floats or halves

// The cache is halves, two to a word.
override HALF: bool = false;

// Columns in a pass: 16 blocks.
const PASS = 512u;

#ifdef subgroups
fn four_sum(v: vec4<f32>) -> vec4<f32> {
    let two = v + subgroupShuffleXor(v, 1u);
    return two + subgroupShuffleXor(two, 2u);
}

fn put(at: u32, v: vec4<f32>) {
    y[at] = v.x;
    y[at + 1u] = v.y;
    y[at + 2u] = v.z;
    y[at + 3u] = v.w;
}
#else
var<workgroup> partial: array<vec4<f32>, 512>; // [4, 8, 16]: slice of rows, quad of a block, block
#endif

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    if (group.x == params.heads) {
        latent(group.y, local);
        return;
    }
    let source = group.y * params.q_stride + group.x * (params.nope + params.rope);
    let dest = (group.y * params.heads + group.x) * (params.rank + params.rope);
    let top = group.x * (params.nope + params.value);
#ifdef subgroups
    let slice = local & 3u;
    let column = local >> 2u;
#else
    let slice = local >> 4u;
    let column = local & 15u;
#endif
    for (var start = 0u; start < params.rank; start += PASS) {
        let b = (start >> 5u) + column;
        var s0 = vec4<f32>(0.0);
        var s1 = vec4<f32>(0.0);
        var s2 = vec4<f32>(0.0);
        var s3 = vec4<f32>(0.0);
        var s4 = vec4<f32>(0.0);
        var s5 = vec4<f32>(0.0);
        var s6 = vec4<f32>(0.0);
        var s7 = vec4<f32>(0.0);
        if (32u * b < params.rank) {
            for (var i = slice; i < params.nope; i += 4u) {
                let v = weight_block(top + i, b, params.rank);
                let factor = q[source + i] * block_scale(top + i, b, params.rank);
                s0 += factor * v[0];
                s1 += factor * v[1];
                s2 += factor * v[2];
                s3 += factor * v[3];
                s4 += factor * v[4];
                s5 += factor * v[5];
                s6 += factor * v[6];
                s7 += factor * v[7];
            }
        }
#ifdef subgroups
        let t0 = four_sum(s0);
        let t1 = four_sum(s1);
        let t2 = four_sum(s2);
        let t3 = four_sum(s3);
        let t4 = four_sum(s4);
        let t5 = four_sum(s5);
        let t6 = four_sum(s6);
        let t7 = four_sum(s7);
        // Each of the four writes a quarter of the block.
        if (32u * b < params.rank) {
            let low = slice < 2u;
            let even = (slice & 1u) == 0u;
            let at = dest + 32u * b + 8u * slice;
            put(at, select(select(t6, t4, even), select(t2, t0, even), low));
            put(at + 4u, select(select(t7, t5, even), select(t3, t1, even), low));
        }
#else
        let at = slice * 128u + column;
        partial[at] = s0;
        partial[at + 16u] = s1;
        partial[at + 32u] = s2;
        partial[at + 48u] = s3;
        partial[at + 64u] = s4;
        partial[at + 80u] = s5;
        partial[at + 96u] = s6;
        partial[at + 112u] = s7;
        workgroupBarrier();
        for (var c = local; c < PASS && start + c < params.rank; c += 64u) {
            let cell = ((c >> 2u) & 7u) * 16u + (c >> 5u);
            let total = partial[cell][c & 3u] + partial[128u + cell][c & 3u] + partial[256u + cell][c & 3u]
                + partial[384u + cell][c & 3u];
            y[dest + start + c] = total;
        }
        workgroupBarrier();
#endif
    }
    for (var i = local; i < (params.rope >> 1u); i += THREADS) {
        let ends = pair(i, params.rope);
        let first = source + params.nope;
        let turned = turn(state.position + group.y, i, params.rope, vec2<f32>(q[first + ends.x], q[first + ends.y]));
        y[dest + params.rank + ends.x] = turned.x;
        y[dest + params.rank + ends.y] = turned.y;
    }
}

// The latent and shared key of a token.
fn latent(token: u32, local: u32) {
    let source = token * params.kv_stride + params.kv_offset;
    let dest = (state.position + token) * (params.rank + params.rope);
    var squares = 0.0;
    for (var i = local; i < params.rank; i += THREADS) {
        squares += kv[source + i] * kv[source + i];
    }
    let inverse = 1.0 / sqrt(reduce_sum(local, squares) / f32(params.rank) + params.eps);
    let width = params.rank + params.rope;
    for (var i = 2u * local; i < width; i += 2u * THREADS) {
        let one = kept(token, source, inverse, i);
        let next = kept(token, source, inverse, min(i + 1u, width - 1u));
        if (HALF) {
            cache[(dest + i) >> 1u] = pack2x16float(vec2<f32>(one, next));
        } else {
            cache[dest + i] = bitcast<u32>(one);
            if (i + 1u < width) {
                cache[dest + i + 1u] = bitcast<u32>(next);
            }
        }
    }
}

// Float i of what is kept of a token: of its normed latent, then of its turned key.
fn kept(token: u32, source: u32, inverse: f32, i: u32) -> f32 {
    if (i < params.rank) {
        return kv[source + i] * inverse * kv_norm[i];
    }
    let n = select((i - params.rank) % (params.rope >> 1u), (i - params.rank) >> 1u, params.interleaved == 1u);
    let ends = pair(n, params.rope);
    let first = source + params.rank;
    let both = turn(state.position + token, n, params.rope, vec2<f32>(kv[first + ends.x], kv[first + ends.y]));
    return select(both.y, both.x, i - params.rank == ends.x);
}
