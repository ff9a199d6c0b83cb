// Causal attention over the cache, softmax(q·kᵀ·scale)·v. A workgroup takes four heads of a token that share keys and values,
// so that each is loaded once for them, and walks the cache in tiles of 64 positions with a running maximum and sum (online
// softmax, Milakov & Gimelshein 2018), so that any context fits.
#import state

struct Params {
    heads: u32,
    kv_heads: u32,
    k_width: u32,
    v_width: u32,
    k_stride: u32,
    v_stride: u32,
    scale: f32,
    window: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> q: array<vec4<f32>>; // [T, heads, k_width]
@group(0) @binding(3) var<storage, read> keys: array<vec4<f32>>; // [context, k_stride]
@group(0) @binding(4) var<storage, read> values: array<f32>; // [context, v_stride]
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, heads, v_width]

const TILE = 64u;
// Below every score: WGSL promises nothing about infinities.
const LOWEST = -3.0e38;

// Of each position of the tile, for the four heads.
var<workgroup> scores: array<vec4<f32>, TILE>;
var<workgroup> shares: array<vec4<f32>, TILE>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let per = params.heads / params.kv_heads;
    let quads = (per + 3u) >> 2u;
    let kv_head = group.x / quads;
    // Heads past the group's end repeat its last one, and are not written.
    let first = (group.x - kv_head * quads) << 2u;
    let inside = min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(per - 1u));
    let head = inside + group.y * params.heads + kv_head * per;
    let end = state.position + group.y + 1u;
    let start = select(0u, end - min(end, params.window), params.window > 0u);
    var largest = vec4<f32>(LOWEST);
    var total = vec4<f32>(0.0);
    for (var tile = start; tile < end; tile += TILE) {
        let seen = min(TILE, end - tile);
        var score = vec4<f32>(LOWEST);
        if (local < seen) {
            let key = (tile + local) * params.k_stride + kv_head * params.k_width;
            score = products(head * params.k_width, key) * params.scale;
        }
        scores[local] = score;
        workgroupBarrier();
        var now = largest;
        for (var i = 0u; i < TILE; i++) {
            now = max(now, scores[i]);
        }
        // Shares of unseen positions are zero without relying on what exp makes of LOWEST.
        shares[local] = select(vec4<f32>(0.0), exp(score - now), local < seen);
        let kept = select(exp(largest - now), vec4<f32>(0.0), tile == start);
        largest = now;
        workgroupBarrier();
        var sums = vec4<f32>(0.0);
        for (var i = 0u; i < TILE; i++) {
            sums += shares[i];
        }
        total = total * kept + sums;
        for (var d = local; d < params.v_width; d += 64u) {
            var at = tile * params.v_stride + kv_head * params.v_width + d;
            var sum = vec4<f32>(0.0);
            for (var s = 0u; s < seen; s++) {
                sum += shares[s] * values[at];
                at += params.v_stride;
            }
            // The first tile's `kept` is zero, and what y held before may be anything.
            let before = select(rows(head, d), vec4<f32>(0.0), tile == start);
            put(head, d, first, per, before * kept + sum);
        }
    }
    for (var d = local; d < params.v_width; d += 64u) {
        put(head, d, first, per, rows(head, d) / total);
    }
}

// Float d of the four heads' outputs.
fn rows(head: vec4<u32>, d: u32) -> vec4<f32> {
    let at = head * params.v_width + d;
    return vec4<f32>(y[at.x], y[at.y], y[at.z], y[at.w]);
}

fn put(head: vec4<u32>, d: u32, first: u32, per: u32, v: vec4<f32>) {
    let at = head * params.v_width + d;
    y[at.x] = v.x;
    if (first + 1u < per) {
        y[at.y] = v.y;
    }
    if (first + 2u < per) {
        y[at.z] = v.z;
    }
    if (first + 3u < per) {
        y[at.w] = v.w;
    }
}

// Products of the queries at floats `a` with the key at float `b`.
fn products(a: vec4<u32>, b: u32) -> vec4<f32> {
    var sums = vec4<f32>(0.0);
    if (((params.k_width | b | params.k_stride) & 3u) == 0u) {
        for (var i = 0u; i < (params.k_width >> 2u); i++) {
            let key = keys[(b >> 2u) + i];
            let at = (a >> vec4<u32>(2u)) + i;
            sums += vec4<f32>(dot(q[at.x], key), dot(q[at.y], key), dot(q[at.z], key), dot(q[at.w], key));
        }
    } else {
        for (var i = 0u; i < params.k_width; i++) {
            let key = keys[(b + i) >> 2u][(b + i) & 3u];
            sums += vec4<f32>(query(a.x + i), query(a.y + i), query(a.z + i), query(a.w + i)) * key;
        }
    }
    return sums;
}

fn query(i: u32) -> f32 {
    return q[i >> 2u][i & 3u];
}
