// First half of the routed experts: y[t, j] = silu(W_gate · n) ⊙ (W_up · n), n = norm(x[t]) as in matvec. Eight lanes share
// two gate rows and their up rows; a workgroup makes 16 outputs of one chosen expert.
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

var<workgroup> partial: array<vec4<f32>, 64>; // of two gates and their ups
var<workgroup> squares: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let pair = group.z * params.chosen + group.y;
    let record = slots[chosen[pair].x] * params.stride;
    plane_weights = record + params.weights;
    plane_scales = record + params.scales;
    let lane = local & (LANES - 1u);
    let first = group.x * 16u + (local >> 3u) * 2u;
    let gate0 = min(first, params.width - 1u) * 2u;
    let gate1 = min(first + 1u, params.width - 1u) * 2u;
    let blocks = (params.hidden + 31u) >> 5u;
    var sum = vec4<f32>(0.0);
    var square = 0.0;
    for (var b = lane; b < blocks; b += LANES) {
        let input = input_block(group.z * params.hidden, b, params.hidden);
        let v = times(input, norm_block(b, params.hidden));
        square += inner(input, input);
        sum += vec4<f32>(
            inner(weight_block(gate0, b, params.hidden), v) * block_scale(gate0, b, params.hidden),
            inner(weight_block(gate0 + 1u, b, params.hidden), v) * block_scale(gate0 + 1u, b, params.hidden),
            inner(weight_block(gate1, b, params.hidden), v) * block_scale(gate1, b, params.hidden),
            inner(weight_block(gate1 + 1u, b, params.hidden), v) * block_scale(gate1 + 1u, b, params.hidden),
        );
    }
    partial[local] = sum;
    squares[local] = square;
    workgroupBarrier();
    let row = group.x * 16u + local;
    if (local < 16u && row < params.width) {
        let lanes = (local >> 1u) * LANES;
        var total = vec4<f32>(0.0);
        var mean = 0.0;
        for (var i = 0u; i < LANES; i++) {
            total += partial[lanes + i];
            mean += squares[lanes + i];
        }
        let sums = select(total.xy, total.zw, (local & 1u) == 1u) / sqrt(mean / f32(params.hidden) + params.eps);
        y[pair * params.width + row] = silu(sums.x) * sums.y;
    }
}
