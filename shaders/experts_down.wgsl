// Second half of the routed experts: y[t] += Σ_j weight_j · (W_down,j · x[t, j] + b_j), in the order of choice. A
// group of lanes shares four rows.
const THREADS = 64u;
#import format
#import input
#import lanes
#import pool

struct Params {
    hidden: u32,
    width: u32,
    chosen: u32,
    stride: u32,
    weights: u32,
    scales: u32,
    bias: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T, k, I]
@group(0) @binding(2) var<storage, read> chosen: array<vec2<u32>>; // [T, k]: expert, bits of its weight
@group(0) @binding(3) var<storage, read> slots: array<u32>; // [E]
@group(0) @binding(4) var<storage, read> pool: array<vec4<u32>>; // records of `stride` words
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, H]

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = (group.x * (THREADS / LANES) + local / LANES) * 4u;
    let row = min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(params.hidden - 1u));
    let blocks = (params.width + 31u) >> 5u;
    var sum = vec4<f32>(0.0);
    for (var j = 0u; j < params.chosen; j++) {
        let pair = group.y * params.chosen + j;
        let choice = chosen[pair];
        let record = slots[choice.x] * params.stride;
        plane_weights = record + params.weights;
        plane_scales = record + params.scales;
        plane_biases = select(0u, record + params.bias, params.bias > 0u);
        // Once for the lanes that add up.
        var part = vec4<f32>(0.0);
        if (lane_of(local) == 0u) {
            part = vec4<f32>(bias_at(row.x), bias_at(row.y), bias_at(row.z), bias_at(row.w));
        }
        for (var b = lane_of(local); b < blocks; b += LANES) {
            let v = input_block(pair * params.width, b, params.width);
            part += vec4<f32>(
                inner(weight_block(row.x, b, params.width), v) * block_scale(row.x, b, params.width),
                inner(weight_block(row.y, b, params.width), v) * block_scale(row.y, b, params.width),
                inner(weight_block(row.z, b, params.width), v) * block_scale(row.z, b, params.width),
                inner(weight_block(row.w, b, params.width), v) * block_scale(row.w, b, params.width),
            );
        }
        sum += bitcast<f32>(choice.y) * part;
    }
    let total = lanes_sum(local, sum);
    if (lane_of(local) != 0u) {
        return;
    }
    let dest = group.y * params.hidden;
    for (var i = 0u; i < 4u && first + i < params.hidden; i++) {
        y[dest + first + i] += total[i];
    }
}
