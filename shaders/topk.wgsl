// Routing: from router logits to the chosen experts and their weights. A workgroup takes a token; an expert's place is the
// number of experts that go before it, so no sorting and few barriers.
const THREADS = 64u;
#import reduce
#import silu

struct Params {
    experts: u32,
    chosen: u32,
    sigmoid: u32,
    groups: u32,
    top_groups: u32,
    normalise: u32,
    eps: f32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>; // [T, E]
@group(0) @binding(2) var<storage, read> bias: array<f32>; // [E]
@group(0) @binding(3) var<storage, read_write> chosen: array<vec2<u32>>; // [T, k]: expert, bits of its weight

// Most experts a layer may have.
const EXPERTS = 512u;
// Below every score: WGSL promises nothing about infinities.
const LOWEST = -3.0e38;

var<workgroup> scores: array<f32, EXPERTS>;
var<workgroup> biased: array<f32, EXPERTS>;
var<workgroup> totals: array<f32, EXPERTS>; // of groups: no more than experts
var<workgroup> picks: array<u32, EXPERTS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = group.x * params.experts;
    if (params.sigmoid == 1u) {
        for (var e = local; e < params.experts; e += THREADS) {
            scores[e] = sigmoid(logits[first + e]);
        }
    } else {
        var largest = LOWEST;
        for (var e = 0u; e < params.experts; e++) {
            largest = max(largest, logits[first + e]);
        }
        var part = 0.0;
        for (var e = local; e < params.experts; e += THREADS) {
            let v = exp(logits[first + e] - largest);
            scores[e] = v;
            part += v;
        }
        let total = reduce_sum(local, part);
        for (var e = local; e < params.experts; e += THREADS) {
            scores[e] /= total;
        }
    }
    for (var e = local; e < params.experts; e += THREADS) {
        biased[e] = scores[e] + bias[e];
    }
    workgroupBarrier();

    if (params.groups > 1u) {
        let size = params.experts / params.groups;
        for (var g = local; g < params.groups; g += THREADS) {
            totals[g] = two_largest(g * size, size);
        }
        workgroupBarrier();
        for (var e = local; e < params.experts; e += THREADS) {
            if (group_place(e / size) >= params.top_groups) {
                biased[e] = LOWEST;
            }
        }
        workgroupBarrier();
    }

    for (var e = local; e < params.experts; e += THREADS) {
        let place = expert_place(e);
        if (place < params.chosen) {
            picks[place] = e;
        }
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var j = 0u; j < params.chosen; j++) {
        sum += scores[picks[j]];
    }
    let factor = select(params.scale, params.scale / (sum + params.eps), params.normalise == 1u);
    for (var j = local; j < params.chosen; j += THREADS) {
        let e = picks[j];
        chosen[group.x * params.chosen + j] = vec2<u32>(e, bitcast<u32>(scores[e] * factor));
    }
}

// Sum of the two largest of `size` biased scores from `start` on; of the one there is when there is one.
fn two_largest(start: u32, size: u32) -> f32 {
    var one = LOWEST;
    var two = LOWEST;
    for (var i = start; i < start + size; i++) {
        let v = biased[i];
        two = max(two, min(one, v));
        one = max(one, v);
    }
    return select(one + two, one, size == 1u);
}

// Groups that go before group g: larger, or equal with a lower number.
fn group_place(g: u32) -> u32 {
    let mine = totals[g];
    var place = 0u;
    for (var i = 0u; i < params.groups; i++) {
        place += select(0u, 1u, totals[i] > mine || (totals[i] == mine && i < g));
    }
    return place;
}

// Experts that go before expert e: larger, or equal with a lower id.
fn expert_place(e: u32) -> u32 {
    let mine = biased[e];
    var place = 0u;
    for (var i = 0u; i < params.experts; i++) {
        place += select(0u, 1u, biased[i] > mine || (biased[i] == mine && i < e));
    }
    return place;
}
