// Matrix times few vectors: y[t] (+)= W · n, n = x[t] or norm(x[t]), or silu(W_gate · n) ⊙ (W_up · n). Eight lanes share four
// rows; a workgroup makes 32. Each eight lanes read the whole vector, so they have its sum of squares too, and a norm costs
// no pass of its own.
#import format
#import input
#import norm
#import planes
#import product
#import silu

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T, x_stride]
@group(0) @binding(2) var<storage, read> norm: array<vec4<f32>>; // [K]
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>; // plane [N, K]
@group(0) @binding(4) var<storage, read> scales: array<u32>; // plane [N, K/32]
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, y_stride]

const LANES = 8u;
// Rows of eight lanes: an input, once loaded, serves them all.
const ROWS = 4u;

var<workgroup> partial: array<vec4<f32>, 64>; // of four rows
var<workgroup> squares: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local & (LANES - 1u);
    let row = rows_of(group.x * 8u + (local >> 3u));
    let safe = min(row, vec4<u32>(params.rows - 1u)) + params.row_first + group.z * params.row_step;
    let blocks = (params.cols + 31u) >> 5u;
    var sum = vec4<f32>(0.0);
    var square = 0.0;
    for (var b = lane; b < blocks; b += LANES) {
        var v = input_block(group.y * params.x_stride + group.z * params.x_step, b, params.cols);
        if (params.norm == 1u) {
            square += inner(v, v);
            v = times(v, norm_block(b, params.cols));
        }
        sum += vec4<f32>(
            inner(weight_block(safe.x, b, params.cols), v) * block_scale(safe.x, b, params.cols),
            inner(weight_block(safe.y, b, params.cols), v) * block_scale(safe.y, b, params.cols),
            inner(weight_block(safe.z, b, params.cols), v) * block_scale(safe.z, b, params.cols),
            inner(weight_block(safe.w, b, params.cols), v) * block_scale(safe.w, b, params.cols),
        );
    }
    partial[local] = sum;
    squares[local] = square;
    workgroupBarrier();
    if (lane != 0u) {
        return;
    }
    var total = vec4<f32>(0.0);
    for (var i = 0u; i < LANES; i++) {
        total += partial[local + i];
    }
    if (params.norm == 1u) {
        var mean = 0.0;
        for (var i = 0u; i < LANES; i++) {
            mean += squares[local + i];
        }
        total /= sqrt(mean / f32(params.cols) + params.eps);
    }
    let dest = group.y * params.y_stride + group.z * params.y_step;
    if (params.gated == 1u) {
        put_one(dest, row.x, silu(total.x) * total.z);
        put_one(dest, row.y, silu(total.y) * total.w);
    } else {
        put_one(dest, row.x, total.x);
        put_one(dest, row.y, total.y);
        put_one(dest, row.z, total.z);
        put_one(dest, row.w, total.w);
    }
}

// Rows of eight lanes: four in turn, or two gates and their ups. Those past the end are not written.
fn rows_of(octet: u32) -> vec4<u32> {
    let half = params.rows >> 1u;
    let first = select(octet * ROWS, octet * 2u, params.gated == 1u);
    let third = select(first + 2u, first + half, params.gated == 1u);
    return vec4<u32>(first, first + 1u, third, third + 1u);
}
