// Causal attention over the cache, softmax(q·kᵀ·scale)·v. A workgroup takes a head of a token and walks the cache in
// tiles of 64 positions with a running maximum and sum (online softmax, Milakov & Gimelshein 2018), so that any context fits.
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

var<workgroup> scores: array<vec4<f32>, 16>; // [TILE]
var<workgroup> shares: array<vec4<f32>, 16>; // [TILE]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let head = group.y * params.heads + group.x;
    let kv_head = group.x / (params.heads / params.kv_heads);
    let end = state.position + group.y + 1u;
    let start = select(0u, end - min(end, params.window), params.window > 0u);
    var largest = LOWEST;
    var total = 0.0;
    for (var tile = start; tile < end; tile += TILE) {
        let seen = min(TILE, end - tile);
        var score = LOWEST;
        if (local < seen) {
            score = product(head * params.k_width, (tile + local) * params.k_stride + kv_head * params.k_width)
                * params.scale;
        }
        scores[local >> 2u][local & 3u] = score;
        workgroupBarrier();
        var best = vec4<f32>(largest);
        for (var i = 0u; i < 16u; i++) {
            best = max(best, scores[i]);
        }
        let now = max(max(best.x, best.y), max(best.z, best.w));
        // Shares of unseen positions are zero without relying on what exp makes of LOWEST.
        shares[local >> 2u][local & 3u] = select(0.0, exp(score - now), local < seen);
        let kept = select(exp(largest - now), 0.0, tile == start);
        largest = now;
        workgroupBarrier();
        var sums = vec4<f32>(0.0);
        for (var i = 0u; i < 16u; i++) {
            sums += shares[i];
        }
        total = total * kept + sums.x + sums.y + sums.z + sums.w;
        for (var d = local; d < params.v_width; d += 64u) {
            var at = tile * params.v_stride + kv_head * params.v_width + d;
            var sum = 0.0;
            for (var s = 0u; s < seen; s++) {
                sum += shares[s >> 2u][s & 3u] * values[at];
                at += params.v_stride;
            }
            let out = head * params.v_width + d;
            y[out] = select(y[out] * kept, 0.0, tile == start) + sum;
        }
    }
    for (var d = local; d < params.v_width; d += 64u) {
        y[head * params.v_width + d] /= total;
    }
}

// Product of the query at float `a` with the key at float `b`.
fn product(a: u32, b: u32) -> f32 {
    var sum = 0.0;
    if (((params.k_width | a | b) & 3u) == 0u) {
        var quads = vec4<f32>(0.0);
        for (var i = 0u; i < (params.k_width >> 2u); i++) {
            quads += q[(a >> 2u) + i] * keys[(b >> 2u) + i];
        }
        sum = quads.x + quads.y + quads.z + quads.w;
    } else {
        for (var i = 0u; i < params.k_width; i++) {
            sum += q[(a + i) >> 2u][(a + i) & 3u] * keys[(b + i) >> 2u][(b + i) & 3u];
        }
    }
    return sum;
}
