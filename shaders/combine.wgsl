// What the chosen experts made, by their weights: y[t] += Σ_j weight_j · x[t, j], in the order of choice.

struct Params {
    hidden: u32,
    chosen: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [T, k, H]
@group(0) @binding(2) var<storage, read> chosen: array<vec2<u32>>; // [T, k]: expert, bits of its weight
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [T, H]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.hidden) {
        return;
    }
    var sum = y[id.y * params.hidden + id.x];
    for (var j = id.y * params.chosen; j < (id.y + 1u) * params.chosen; j++) {
        sum += bitcast<f32>(chosen[j].y) * x[j * params.hidden + id.x];
    }
    y[id.y * params.hidden + id.x] = sum;
}
