// Copies a run of floats of each token: into the KV cache, between layouts, or of the last token alone.
#import state

struct Params {
    width: u32,
    x_stride: u32,
    x_offset: u32,
    y_stride: u32,
    y_offset: u32,
    at_position: u32,
    last: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: State; // one
@group(0) @binding(2) var<storage, read> x: array<f32>; // [T, x_stride]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [T or context, y_stride]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width) {
        return;
    }
    let source = select(id.y, state.tokens - 1u, params.last == 1u);
    let dest = select(id.y, id.y + state.position, params.at_position == 1u);
    y[dest * params.y_stride + params.y_offset + id.x] = x[source * params.x_stride + params.x_offset + id.x];
}
