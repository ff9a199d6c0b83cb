// RMSNorm of groups of each token: y = x · rsqrt(mean(x²) + eps) · weight.
const THREADS = 64u;
#import reduce

struct Params {
    width: u32,
    groups: u32,
    x_stride: u32,
    y_stride: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [T, x_stride]
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [width]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [T, y_stride]

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let source = group.y * params.x_stride + group.x * params.width;
    let dest = group.y * params.y_stride + group.x * params.width;
    var squares = 0.0;
    for (var i = local; i < params.width; i += THREADS) {
        squares += x[source + i] * x[source + i];
    }
    let mean = reduce_sum(local, squares) / f32(params.width);
    let inverse = 1.0 / sqrt(mean + params.eps);
    for (var i = local; i < params.width; i += THREADS) {
        y[dest + i] = x[source + i] * inverse * weight[i];
    }
}
