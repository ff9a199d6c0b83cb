// The pairs (token, choice) of a play by the expert they chose, in order: what experts_matmul walks over. A workgroup lists the pairs
// of one expert, its invocations those of a run each, so that the order never depends on timing.
#import state

struct Params {
    experts: u32,
    chosen: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> chosen: array<vec2<u32>>; // [T, k]: expert, bits of its weight
@group(0) @binding(3) var<storage, read_write> sorted: array<u32>; // [E + 1 + T·k]: first pair of each expert, their end, pairs

override THREADS: u32 = 64u;

// Of each invocation's run, pairs of experts before this one, and its own.
var<workgroup> lower: array<u32, THREADS>;
var<workgroup> own: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let expert = group.x;
    let pairs = state.tokens * params.chosen;
    let run = (pairs + THREADS - 1u) / THREADS;
    let first = min(local * run, pairs);
    let end = min(first + run, pairs);
    var before = 0u;
    var mine = 0u;
    for (var i = first; i < end; i++) {
        let e = chosen[i].x;
        before += select(0u, 1u, e < expert);
        mine += select(0u, 1u, e == expert);
    }
    lower[local] = before;
    own[local] = mine;
    workgroupBarrier();
    var at = 0u;
    for (var i = 0u; i < THREADS; i++) {
        at += lower[i] + select(0u, own[i], i < local);
    }
    if (local == 0u) {
        sorted[expert] = at;
        if (expert + 1u == params.experts) {
            sorted[expert + 1u] = pairs;
        }
    }
    for (var i = first; i < end; i++) {
        if (chosen[i].x == expert) {
            sorted[params.experts + 1u + at] = i;
            at++;
        }
    }
}
