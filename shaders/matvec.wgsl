// Matrix times few vectors: y[t] (+)= W · x[t] or W · norm(x[t]). Eight lanes share two rows; a workgroup makes 16 rows. Each
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

var<workgroup> partial: array<vec3<f32>, 64>; // of two rows, and of squares

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let lane = local & (LANES - 1u);
    let first = group.x * 16u + (local >> 3u) * 2u;
    let row0 = min(first, params.rows - 1u);
    let row1 = min(first + 1u, params.rows - 1u);
    let blocks = (params.cols + 31u) >> 5u;
    var sum = vec3<f32>(0.0);
    for (var b = lane; b < blocks; b += LANES) {
        var v = input_block(group.y * params.x_stride, b, params.cols);
        if (params.norm == 1u) {
            sum.z += inner(v, v);
            v = times(v, norm_block(b, params.cols));
        }
        sum.x += inner(weight_block(row0, b, params.cols), v) * block_scale(row0, b, params.cols);
        sum.y += inner(weight_block(row1, b, params.cols), v) * block_scale(row1, b, params.cols);
    }
    partial[local] = sum;
    workgroupBarrier();
    let row = group.x * 16u + local;
    if (local < 16u && row < params.rows) {
        var sums = vec3<f32>(0.0);
        for (var i = 0u; i < LANES; i++) {
            sums += partial[(local >> 1u) * LANES + i];
        }
        var total = select(sums.x, sums.y, (local & 1u) == 1u);
        if (params.norm == 1u) {
            total /= sqrt(sums.z / f32(params.cols) + params.eps);
        }
        let at = group.y * params.y_stride + row;
        if (params.accumulate == 1u) {
            total += y[at];
        }
        y[at] = total;
    }
}
