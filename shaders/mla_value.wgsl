// MLA values from mixed latents: y[h] = W_uv,h · x[h]. Eight lanes share two rows; a workgroup makes a head, 16 rows at
// a time.
#import format
#import input
#import planes

struct Params {
    heads: u32,
    nope: u32,
    value: u32,
    rank: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T, heads, rank]
@group(0) @binding(2) var<storage, read> weights: array<vec4<u32>>; // plane [heads·(nope + value), rank]
@group(0) @binding(3) var<storage, read> scales: array<u32>; // plane [heads·(nope + value), rank/32]
@group(0) @binding(4) var<storage, read_write> y: array<f32>; // [T, heads, value]

const LANES = 8u;

var<workgroup> partial: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let head = group.y * params.heads + group.x;
    let top = group.x * (params.nope + params.value) + params.nope;
    let lane = local & (LANES - 1u);
    let blocks = (params.rank + 31u) >> 5u;
    for (var start = 0u; start < params.value; start += 16u) {
        let first = start + (local >> 3u) * 2u;
        let row0 = top + min(first, params.value - 1u);
        let row1 = top + min(first + 1u, params.value - 1u);
        var sum = vec2<f32>(0.0);
        for (var b = lane; b < blocks; b += LANES) {
            let v = input_block(head * params.rank, b, params.rank);
            sum.x += inner(weight_block(row0, b, params.rank), v) * block_scale(row0, b, params.rank);
            sum.y += inner(weight_block(row1, b, params.rank), v) * block_scale(row1, b, params.rank);
        }
        partial[local] = sum;
        workgroupBarrier();
        if (local < 16u && start + local < params.value) {
            var total = 0.0;
            for (var i = 0u; i < LANES; i++) {
                total += partial[(local >> 1u) * LANES + i][local & 1u];
            }
            y[head * params.value + start + local] = total;
        }
        workgroupBarrier();
    }
}
