// Reads a buffer once, as fast as memory gives it: what kernels that read weights are measured against.
struct Params {
    quads: u32,
    readers: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> data: array<vec4<u32>>; // [quads]
@group(0) @binding(2) var<storage, read_write> sums: array<vec4<u32>>; // [readers]

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.readers) {
        return;
    }
    var sum = vec4<u32>(0u);
    for (var i = id.x; i < params.quads; i += params.readers) {
        sum ^= data[i];
    }
    sums[id.x] = sum;
}
