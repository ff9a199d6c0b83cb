// Heads of grouped-query attention: queries and keys are normed and turned, keys and values go into the cache. A workgroup
// takes a head of a token: those of queries first, then of keys, then of values.
const THREADS = 64u;
#import reduce
#import state
#import turn

struct Params {
    heads: u32,
    kv_heads: u32,
    width: u32,
    dims: u32,
    interleaved: u32,
    norm: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> turns: array<vec2<f32>>; // [context, dims/2]: cosine, sine
@group(0) @binding(3) var<storage, read> x: array<f32>; // [T, heads + 2·kv_heads, width]
@group(0) @binding(4) var<storage, read> q_norm: array<f32>; // [width], or [heads, width]
@group(0) @binding(5) var<storage, read> k_norm: array<f32>; // [width], or [kv_heads, width]
@group(0) @binding(6) var<storage, read_write> q: array<f32>; // [T, heads, width]
@group(0) @binding(7) var<storage, read_write> keys: array<f32>; // [context, kv_heads, width]
@group(0) @binding(8) var<storage, read_write> values: array<f32>; // [context, kv_heads, width]

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let source = (group.y * (params.heads + 2u * params.kv_heads) + group.x) * params.width;
    let place = state.position + group.y;
    if (group.x >= params.heads + params.kv_heads) {
        let dest = (place * params.kv_heads + group.x - params.heads - params.kv_heads) * params.width;
        for (var i = local; i < params.width; i += THREADS) {
            values[dest + i] = x[source + i];
        }
        return;
    }
    let is_key = group.x >= params.heads;
    // What is normed together: a head, or all heads of its kind, among which it starts at `at`.
    let whole = params.norm == 2u;
    let at = select(0u, (group.x - select(0u, params.heads, is_key)) * params.width, whole);
    let span = select(params.width, select(params.heads, params.kv_heads, is_key) * params.width, whole);
    var inverse = 1.0;
    if (params.norm > 0u) {
        var squares = 0.0;
        for (var i = local; i < span; i += THREADS) {
            let v = x[source - at + i];
            squares += v * v;
        }
        inverse = 1.0 / sqrt(reduce_sum(local, squares) / f32(span) + params.eps);
    }
    for (var i = local; i < (params.dims >> 1u); i += THREADS) {
        let ends = pair(i, params.dims);
        let before = vec2<f32>(normed(source, at, ends.x, is_key, inverse), normed(source, at, ends.y, is_key, inverse));
        let turned = turn(place, i, params.dims, before);
        put(place, group, ends.x, is_key, turned.x);
        put(place, group, ends.y, is_key, turned.y);
    }
    for (var i = params.dims + local; i < params.width; i += THREADS) {
        put(place, group, i, is_key, normed(source, at, i, is_key, inverse));
    }
}

fn normed(source: u32, at: u32, i: u32, is_key: bool, inverse: f32) -> f32 {
    if (params.norm == 0u) {
        return x[source + i];
    }
    if (is_key) {
        return x[source + i] * inverse * k_norm[at + i];
    }
    return x[source + i] * inverse * q_norm[at + i];
}

fn put(place: u32, group: vec3<u32>, i: u32, is_key: bool, v: f32) {
    if (is_key) {
        keys[(place * params.kv_heads + group.x - params.heads) * params.width + i] = v;
    } else {
        q[(group.y * params.heads + group.x) * params.width + i] = v;
    }
}
