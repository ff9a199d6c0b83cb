// Second half of the routed experts: y[t] += Σ_j weight_j · W_down,j · x[t, j], in the order of choice. Eight lanes share
// two rows; a workgroup makes 16 rows of a token.
#import format
#import input
#import pool

struct Params {
    hidden: u32,
    width: u32,
    chosen: u32,
    stride: u32,
    weights: u32,
    scales: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T, k, I]
@group(0) @binding(2) var<storage, read> chosen: array<vec2<u32>>; // [T, k]: expert, bits of its weight
@group(0) @binding(3) var<storage, read> slots: array<u32>; // [E]
@group(0) @binding(4) var<storage, read> pool: array<vec4<u32>>; // records of `stride` words
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, H]

const LANES = 8u;

var<workgroup> partial: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local & (LANES - 1u);
    let first = group.x * 16u + (local >> 3u) * 2u;
    let row0 = min(first, params.hidden - 1u);
    let row1 = min(first + 1u, params.hidden - 1u);
    let blocks = (params.width + 31u) >> 5u;
    var sum = vec2<f32>(0.0);
    for (var j = 0u; j < params.chosen; j++) {
        let pair = group.y * params.chosen + j;
        let choice = chosen[pair];
        let record = slots[choice.x] * params.stride;
        plane_weights = record + params.weights;
        plane_scales = record + params.scales;
        var part = vec2<f32>(0.0);
        for (var b = lane; b < blocks; b += LANES) {
            let v = input_block(pair * params.width, b, params.width);
            part.x += inner(weight_block(row0, b, params.width), v) * block_scale(row0, b, params.width);
            part.y += inner(weight_block(row1, b, params.width), v) * block_scale(row1, b, params.width);
        }
        sum += bitcast<f32>(choice.y) * part;
    }
    partial[local] = sum;
    workgroupBarrier();
    let row = group.x * 16u + local;
    if (local < 16u && row < params.hidden) {
        var total = 0.0;
        for (var i = 0u; i < LANES; i++) {
            total += partial[(local >> 1u) * LANES + i][local & 1u];
        }
        y[group.y * params.hidden + row] += total;
    }
}
