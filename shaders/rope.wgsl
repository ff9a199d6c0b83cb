// Rotary position embedding in place, from a table of cosines and sines.
#import state

struct Params {
    heads: u32,
    head: u32,
    offset: u32,
    dims: u32,
    stride: u32,
    interleaved: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> state: State; // one
@group(0) @binding(2) var<storage, read> table: array<vec2<f32>>; // [context, dims/2]: cosine, sine
@group(0) @binding(3) var<storage, read_write> x: array<f32>; // [T, stride]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let half = params.dims >> 1u;
    let h = id.x / half;
    if (h >= params.heads) {
        return;
    }
    let i = id.x - h * half;
    let start = id.y * params.stride + h * params.head + params.offset;
    let interleaved = params.interleaved == 1u;
    let a = start + select(i, 2u * i, interleaved);
    let b = select(a + half, a + 1u, interleaved);
    let turn = table[(state.position + id.y) * half + i];
    let before = vec2<f32>(x[a], x[b]);
    x[a] = before.x * turn.x - before.y * turn.y;
    x[b] = before.y * turn.x + before.x * turn.y;
}
