// Token embedding: x[t] = scale · table[tokens[t]], of tokens that the table has. An invocation decodes a block of 32 columns.
#import format
#import planes

struct Params {
    width: u32,
    scale: f32,
    first: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> tokens: array<u32>; // [T]
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>; // plane [V, H]
@group(0) @binding(3) var<storage, read> scales: array<u32>; // plane [V, H/32]
@group(0) @binding(4) var<storage, read_write> x: array<f32>; // [T, H]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let b = id.x;
    // Of a token before the first row this is more than there are rows.
    let row = tokens[id.y] - params.first;
    if (32u * b >= params.width || row >= params.rows) {
        return;
    }
    let scale = block_scale(row, b, params.width);
    let v = weight_block(row, b, params.width);
    let at = id.y * params.width + 32u * b;
    let left = params.width - 32u * b;
    put(at, left, 0u, v[0] * scale);
    put(at, left, 4u, v[1] * scale);
    put(at, left, 8u, v[2] * scale);
    put(at, left, 12u, v[3] * scale);
    put(at, left, 16u, v[4] * scale);
    put(at, left, 20u, v[5] * scale);
    put(at, left, 24u, v[6] * scale);
    put(at, left, 28u, v[7] * scale);
}

// Writes columns c to c + 3, by the factor, of a block that has `left` columns.
fn put(at: u32, left: u32, c: u32, v: vec4<f32>) {
    for (var n = 0u; n < 4u && c + n < left; n++) {
        x[at + c + n] = v[n] * params.scale;
    }
}
