// First half of the routed experts: y[t, j] = silu(W_gate · n) ⊙ (W_up · n), n = norm(x[t]) or x[t] as in matvec. A group of lanes
// shares two gate rows and their up rows; a workgroup makes outputs of one chosen expert.
override THREADS: u32 = 64u;
#import format
#import lanes
#import pool
#import norm
#import rows
#import silu

struct Params {
    hidden: u32,
    width: u32,
    chosen: u32,
    stride: u32,
    weights: u32,
    scales: u32,
    eps: f32,
    norm: u32,
    bias: u32,
    limit: f32,
    outputs: u32,
    first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T, H]
@group(0) @binding(2) var<storage, read> norm: array<vec4<f32>>; // [H]
@group(0) @binding(3) var<storage, read> chosen: array<vec2<u32>>; // [T, k]: expert, bits of its weight
@group(0) @binding(4) var<storage, read> slots: array<u32>; // [E]
@group(0) @binding(5) var<storage, read> pool: array<vec4<u32>>; // records of `stride` words
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [T, k, outputs]

override NORM: bool = false;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let pair = group.z * params.chosen + group.y;
    let record = slots[chosen[pair].x] * params.stride;
    plane_weights = record + params.weights;
    plane_scales = record + params.scales;
    plane_biases = select(0u, record + params.bias, params.bias > 0u);
    let first = (group.x * (THREADS / LANES) + local / LANES) * 2u;
    let gate0 = min(first, params.width - 1u) * 2u;
    let gate1 = min(first + 1u, params.width - 1u) * 2u;
    let rows = vec4<u32>(gate0, gate0 + 1u, gate1, gate1 + 1u);
    let sums = four_rows(rows, group.z * params.hidden, params.hidden, lane_of(local), LANES);
    var total = lanes_sum(local, sums.rows);
    if (NORM) {
        total /= sqrt(lanes_more(local, sums.squares) / f32(params.hidden) + params.eps);
    }
    if (lane_of(local) != 0u) {
        return;
    }
    let dest = pair * params.outputs + params.first;
    if (first < params.width) {
        y[dest + first] = swiglu(total.x + bias_at(gate0), total.y + bias_at(gate0 + 1u), params.limit);
    }
    if (first + 1u < params.width) {
        y[dest + first + 1u] = swiglu(total.z + bias_at(gate1), total.w + bias_at(gate1 + 1u), params.limit);
    }
}
