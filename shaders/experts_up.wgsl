// First half of the routed experts: y[t, j] = silu(W_gate · n) ⊙ (W_up · n), n = norm(x[t]) as in matvec. Eight lanes share a gate row and its up row;
// a workgroup makes 8 outputs of one chosen expert.
#import format
#import input
#import norm
#import pool
#import silu

struct Params {
    hidden: u32,
    width: u32,
    chosen: u32,
    stride: u32,
    weights: u32,
    scales: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T, H]
@group(0) @binding(2) var<storage, read> norm: array<vec4<f32>>; // [H]
@group(0) @binding(3) var<storage, read> chosen: array<vec2<u32>>; // [T, k]: expert, bits of its weight
@group(0) @binding(4) var<storage, read> slots: array<u32>; // [E]
@group(0) @binding(5) var<storage, read> pool: array<vec4<u32>>; // records of `stride` words
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [T, k, I]

const LANES = 8u;

var<workgroup> partial: array<vec3<f32>, 64>; // of gate, of up, and of squares

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let pair = group.z * params.chosen + group.y;
    let record = slots[chosen[pair].x] * params.stride;
    plane_weights = record + params.weights;
    plane_scales = record + params.scales;
    let lane = local & (LANES - 1u);
    let gate = min(group.x * 8u + (local >> 3u), params.width - 1u) * 2u;
    let blocks = (params.hidden + 31u) >> 5u;
    var sum = vec3<f32>(0.0);
    for (var b = lane; b < blocks; b += LANES) {
        let input = input_block(group.z * params.hidden, b, params.hidden);
        let v = times(input, norm_block(b, params.hidden));
        sum.z += inner(input, input);
        sum.x += inner(weight_block(gate, b, params.hidden), v) * block_scale(gate, b, params.hidden);
        sum.y += inner(weight_block(gate + 1u, b, params.hidden), v) * block_scale(gate + 1u, b, params.hidden);
    }
    partial[local] = sum;
    workgroupBarrier();
    let row = group.x * 8u + local;
    if (local < 8u && row < params.width) {
        var total = vec3<f32>(0.0);
        for (var i = 0u; i < LANES; i++) {
            total += partial[local * LANES + i];
        }
        let inverse = 1.0 / sqrt(total.z / f32(params.hidden) + params.eps);
        y[pair * params.width + row] = silu(total.x * inverse) * total.y * inverse;
    }
}
