// The last token of a play: its row alone goes on to the head.
#import state

struct Params {
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [T, width]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.width) {
        y[id.x] = x[(state.tokens - 1u) * params.width + id.x];
    }
}
