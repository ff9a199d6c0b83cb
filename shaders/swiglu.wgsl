// SwiGLU of a dense feed-forward: y = silu(gate) ⊙ up.
#import silu

struct Params {
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [T, 2, width]: gate, up
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [T, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.width) {
        let gate = 2u * id.y * params.width + id.x;
        y[id.y * params.width + id.x] = silu(x[gate]) * x[gate + params.width];
    }
}
