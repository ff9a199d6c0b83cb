// Routing: from router logits to the chosen experts and their weights. A workgroup takes a token.
const THREADS = 64u;
#import choose

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>; // [T, E], or [T, E + 1]
@group(0) @binding(2) var<storage, read> bias: array<f32>; // [E]
@group(0) @binding(3) var<storage, read_write> chosen: array<vec2<u32>>; // [T, k + s]: expert, bits of its weight

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let count = params.experts + params.shared_gate;
    for (var e = local; e < count; e += THREADS) {
        scores[e] = logits[group.x * count + e];
    }
    workgroupBarrier();
    choose(group.x, local);
}
