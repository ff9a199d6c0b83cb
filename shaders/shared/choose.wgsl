// The choice of experts from their logits, which the importer has put into `scores` of the workgroup. An expert's place is the
// number of experts that go before it, so there is no sorting and there are few barriers.
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
    shared_experts: u32,
    shared_weight: f32,
    shared_gate: u32,
    hidden: u32,
    norm_eps: f32,
    jitter: f32,
}

// How many logits there are: browsers clear workgroup memory, and a software adapter writes and compiles a store for each word.
override EXPERTS: u32 = 512u;
// Below every score: WGSL promises nothing about infinities.
const LOWEST = -3.0e38;

var<workgroup> scores: array<f32, EXPERTS>; // and the shared experts' gate
var<workgroup> biased: array<f32, EXPERTS>;
var<workgroup> totals: array<f32, EXPERTS>; // of groups: no more than experts
var<workgroup> picks: array<u32, EXPERTS>;

// Chooses for a token. The importer has THREADS invocations, and has put a barrier after the last logit.
fn choose(token: u32, local: u32) {
    var largest = select(LOWEST, 0.0, params.sigmoid == 1u);
    if (params.sigmoid == 0u) {
        for (var e = 0u; e < params.experts; e++) {
            largest = max(largest, scores[e]);
        }
    }
    // Sparsemixer goes by the logits as they are.
    let plain = params.jitter > 0.0;
    var total = select(0.0, 1.0, params.sigmoid == 1u || plain);
    if (params.sigmoid == 0u && !plain) {
        for (var e = 0u; e < params.experts; e++) {
            total += exp(scores[e] - largest);
        }
    }
    workgroupBarrier();
    for (var e = local; e < params.experts; e += THREADS) {
        let v = select(exp(scores[e] - largest) / total, sigmoid(scores[e]), params.sigmoid == 1u);
        scores[e] = select(v, scores[e], plain);
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
    let first = token * (params.chosen + params.shared_experts);
    let factor = select(params.scale, params.scale / (sum + params.eps), params.normalise == 1u);
    for (var j = local; j < params.chosen; j += THREADS) {
        let e = picks[j];
        var weight = scores[e] * factor;
        if (params.jitter > 0.0) {
            weight = mixed(j) * params.scale;
        }
        chosen[first + j] = vec2<u32>(e, bitcast<u32>(weight));
    }
    // Shared experts stand behind the routed ones, and every token chooses them.
    var gate = 1.0;
    if (params.shared_gate == 1u) {
        gate = sigmoid(scores[params.experts]);
    }
    for (var j = local; j < params.shared_experts; j += THREADS) {
        chosen[first + params.chosen + j] = vec2<u32>(params.experts + j, bitcast<u32>(params.shared_weight * gate));
    }
}

// Sparsemixer's weight of choice j: its softmax among the experts not chosen before it that are not far below it.
fn mixed(j: u32) -> f32 {
    let last = scores[picks[j]];
    var sum = 0.0;
    for (var e = 0u; e < params.experts; e++) {
        var left = last - scores[e] <= 2.0 * params.jitter * max(abs(scores[e]), last);
        for (var i = 0u; i < j; i++) {
            left = left && picks[i] != e;
        }
        sum += select(0.0, exp(scores[e] - last), left);
    }
    return 1.0 / sum;
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
