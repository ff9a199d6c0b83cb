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
    half: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> turns: array<vec2<f32>>; // [context, dims/2]: cosine, sine
@group(0) @binding(3) var<storage, read> x: array<f32>; // [T, heads + 2·kv_heads, width]
@group(0) @binding(4) var<storage, read> q_norm: array<f32>; // [width], or [heads, width]
@group(0) @binding(5) var<storage, read> k_norm: array<f32>; // [width], or [kv_heads, width]
@group(0) @binding(6) var<storage, read_write> q: array<f32>; // [T, heads, width]
@group(0) @binding(7) var<storage, read_write> keys: array<u32>; // [context, kv_heads, width], floats or halves
@group(0) @binding(8) var<storage, read_write> values: array<u32>; // [context, kv_heads, width], likewise

// The cache is halves, two to a word.
override HALF: bool = false;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let source = (group.y * (params.heads + 2u * params.kv_heads) + group.x) * params.width;
    let place = state.position + group.y;
    if (group.x >= params.heads + params.kv_heads) {
        let dest = (place * params.kv_heads + group.x - params.heads - params.kv_heads) * params.width;
        for (var i = 2u * local; i < params.width; i += 2u * THREADS) {
            let next = x[source + min(i + 1u, params.width - 1u)];
            if (HALF) {
                values[(dest + i) >> 1u] = pack2x16float(vec2<f32>(x[source + i], next));
            } else {
                values[dest + i] = bitcast<u32>(x[source + i]);
                if (i + 1u < params.width) {
                    values[dest + i + 1u] = bitcast<u32>(next);
                }
            }
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
    let head = Head(place, source, at, is_key, inverse);
    if (!is_key) {
        let dest = (group.y * params.heads + group.x) * params.width;
        for (var i = local; i < params.width; i += THREADS) {
            q[dest + i] = turned(head, i);
        }
        return;
    }
    let dest = (place * params.kv_heads + group.x - params.heads) * params.width;
    for (var i = 2u * local; i < params.width; i += 2u * THREADS) {
        let one = turned(head, i);
        let next = turned(head, min(i + 1u, params.width - 1u));
        if (HALF) {
            keys[(dest + i) >> 1u] = pack2x16float(vec2<f32>(one, next));
        } else {
            keys[dest + i] = bitcast<u32>(one);
            if (i + 1u < params.width) {
                keys[dest + i + 1u] = bitcast<u32>(next);
            }
        }
    }
}

// A head of a token: its position, where it starts in `x` and among what is normed together, and the factor of its norm.
struct Head {
    place: u32,
    source: u32,
    at: u32,
    is_key: bool,
    inverse: f32,
}

// Float i of a head, normed and turned.
fn turned(head: Head, i: u32) -> f32 {
    if (i >= params.dims) {
        return normed(head, i);
    }
    let n = select(i % (params.dims >> 1u), i >> 1u, params.interleaved == 1u);
    let ends = pair(n, params.dims);
    let both = turn(head.place, n, params.dims, vec2<f32>(normed(head, ends.x), normed(head, ends.y)));
    return select(both.y, both.x, i == ends.x);
}

fn normed(head: Head, i: u32) -> f32 {
    let v = x[head.source + i];
    if (params.norm == 0u) {
        return v;
    }
    if (head.is_key) {
        return v * head.inverse * k_norm[head.at + i];
    }
    return v * head.inverse * q_norm[head.at + i];
}
