// Second half of the routed experts: y[t] += Σ_j weight_j · (W_down,j · x[t, j] + b_j). A group of lanes shares four rows; where
// an expert's row has fewer blocks than the group has lanes, the group shares the experts out too: what waits for an expert's
// number, its slot and its weights waits once then, and not once for each.
override THREADS: u32 = 64u;
const NORM = false;
#import format
#import lanes
#import pool
#import rows

struct Params {
    hidden: u32,
    width: u32,
    chosen: u32,
    stride: u32,
    weights: u32,
    scales: u32,
    bias: u32,
    outputs: u32,
    first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T, k, I]
@group(0) @binding(2) var<storage, read> chosen: array<vec2<u32>>; // [T, k]: expert, bits of its weight
@group(0) @binding(3) var<storage, read> slots: array<u32>; // [E]
@group(0) @binding(4) var<storage, read> pool: array<vec4<u32>>; // records of `stride` words
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, outputs]

// Nothing is normed here.
fn norm_pair(b: u32, j: u32) -> Pair {
    return Pair();
}

// Lanes that share an expert.
override SHARE: u32 = 8u;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = (group.x * (THREADS / LANES) + local / LANES) * 4u;
    let row = min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(params.hidden - 1u));
    var sum = vec4<f32>(0.0);
    let lane = lane_of(local) & (SHARE - 1u);
    let step = LANES / SHARE;
    var j = lane_of(local) / SHARE;
    var choice = chosen[group.y * params.chosen + min(j, params.chosen - 1u)];
    var record = slots[choice.x] * params.stride;
    for (; j < params.chosen; j += step) {
        // The next expert is asked for before this one's weights are waited for.
        let next = chosen[group.y * params.chosen + min(j + step, params.chosen - 1u)];
        let next_record = slots[next.x] * params.stride;
        plane_weights = record + params.weights;
        plane_scales = record + params.scales;
        plane_biases = select(0u, record + params.bias, params.bias > 0u);
        // Once for the lanes that add up.
        var part = vec4<f32>(0.0);
        if (lane == 0u) {
            part = vec4<f32>(bias_at(row.x), bias_at(row.y), bias_at(row.z), bias_at(row.w));
        }
        part += four_rows(row, (group.y * params.chosen + j) * params.width, params.width, lane, SHARE).rows;
        sum += bitcast<f32>(choice.y) * part;
        choice = next;
        record = next_record;
    }
    let total = lanes_sum(local, sum);
    if (lane_of(local) != 0u) {
        return;
    }
    let dest = group.y * params.outputs + params.first;
    for (var i = 0u; i < 4u && first + i < params.hidden; i++) {
        y[dest + first + i] += total[i];
    }
}
