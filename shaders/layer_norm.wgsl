// LayerNorm: y[t] = (x[t] − mean) / sqrt(variance + eps) · weight + bias. A workgroup takes a token.
const THREADS = 64u;
#import reduce

struct Params {
    width: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [T, width]
@group(0) @binding(2) var<storage, read> weight: array<f32>; // [width]
@group(0) @binding(3) var<storage, read> bias: array<f32>; // [width]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [T, width]

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = group.x * params.width;
    var sum = 0.0;
    for (var i = local; i < params.width; i += THREADS) {
        sum += x[first + i];
    }
    let mean = reduce_sum(local, sum) / f32(params.width);
    var squares = 0.0;
    for (var i = local; i < params.width; i += THREADS) {
        let v = x[first + i] - mean;
        squares += v * v;
    }
    let inverse = 1.0 / sqrt(reduce_sum(local, squares) / f32(params.width) + params.eps);
    for (var i = local; i < params.width; i += THREADS) {
        y[first + i] = (x[first + i] - mean) * inverse * weight[i] + bias[i];
    }
}
