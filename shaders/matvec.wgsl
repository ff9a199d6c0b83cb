// Matrix times few vectors: y[t] (+)= W · x[t] or W · norm(x[t]). Eight lanes share four rows; a workgroup makes 32. Each
// eight lanes read the whole vector, so they have its sum of squares too, and a norm costs no pass of its own.
#import format
#import input
#import norm
#import planes

struct Params {
    rows: u32,
    cols: u32,
    x_stride: u32,
    y_stride: u32,
    accumulate: u32,
    norm: u32,
    eps: f32,
}

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
    let first = group.x * 32u + (local >> 3u) * ROWS;
    let last = params.rows - 1u;
    let row = min(vec4<u32>(first, first + 1u, first + 2u, first + 3u), vec4<u32>(last));
    let blocks = (params.cols + 31u) >> 5u;
    var sum = vec4<f32>(0.0);
    var square = 0.0;
    for (var b = lane; b < blocks; b += LANES) {
        var v = input_block(group.y * params.x_stride, b, params.cols);
        if (params.norm == 1u) {
            square += inner(v, v);
            v = times(v, norm_block(b, params.cols));
        }
        sum += vec4<f32>(
            inner(weight_block(row.x, b, params.cols), v) * block_scale(row.x, b, params.cols),
            inner(weight_block(row.y, b, params.cols), v) * block_scale(row.y, b, params.cols),
            inner(weight_block(row.z, b, params.cols), v) * block_scale(row.z, b, params.cols),
            inner(weight_block(row.w, b, params.cols), v) * block_scale(row.w, b, params.cols),
        );
    }
    partial[local] = sum;
    squares[local] = square;
    workgroupBarrier();
    let mine = group.x * 32u + local;
    if (local < 32u && mine < params.rows) {
        let lanes = (local >> 2u) * LANES;
        var total = 0.0;
        for (var i = 0u; i < LANES; i++) {
            total += partial[lanes + i][local & 3u];
        }
        if (params.norm == 1u) {
            var mean = 0.0;
            for (var i = 0u; i < LANES; i++) {
                mean += squares[lanes + i];
            }
            total /= sqrt(mean / f32(params.cols) + params.eps);
        }
        let at = group.y * params.y_stride + mine;
        if (params.accumulate == 1u) {
            total += y[at];
        }
        y[at] = total;
    }
}
