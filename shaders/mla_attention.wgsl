// Latent attention for few tokens: attend in the latent space, then each head's values from its mixed latent, y = W_uv,h · l_h, in
// the same launch: the workgroup has all that this takes, where neither positions nor tokens are shared out.
#import attend
#import format
#import planes

@group(0) @binding(7) var<storage, read> weights: array<vec4<u32>>; // plane [heads·(nope + value), rank]
@group(0) @binding(8) var<storage, read> scales: array<u32>; // plane [heads·(nope + value), rank/32]
@group(0) @binding(9) var<storage, read_write> values_out: array<f32>; // [T, heads, value]

#ifdef subgroups
@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) invocation: u32,
) {
    for (var pass_index = 0u; pass_index < passes(); pass_index++) {
        attend(vec3<u32>(group.xy, pass_index), local, invocation);
    }
    storageBarrier();
    give(group, local);
}

// Floats from `at` on, of which `left` are the latent's: four, as all widths are whole quads.
fn latent_quad(at: u32, left: u32) -> vec4<f32> {
    return y[at >> 2u];
}
#else
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    attend(group, local);
    storageBarrier();
    give(group, local);
}

fn latent_quad(at: u32, left: u32) -> vec4<f32> {
    var v = vec4<f32>(0.0);
    for (var i = 0u; i < min(left, 4u); i++) {
        v[i] = y[at + i];
    }
    return v;
}
#endif

// Columns 32b to 32b + 31 of the latent that starts at float `first`; zeros past its end.
fn latent_block(first: u32, b: u32) -> Block {
    let start = first + 32u * b;
    let left = params.v_width - 32u * b;
    var v = Block();
    for (var i = 0u; 4u * i < min(left, 32u); i++) {
        v[i] = latent_quad(start + 4u * i, left - 4u * i);
    }
    return v;
}

// Values of the workgroup's heads, an invocation a row.
fn give(group: vec3<u32>, local: u32) {
    let heads = heads_of(group.x);
    let count = min(heads.per - heads.first, 4u) * params.value;
    let blocks = (params.v_width + 31u) >> 5u;
    for (var i = local; i < count; i += THREADS) {
        let head = heads.kv * heads.per + heads.first + i / params.value;
        let row = params.row_first + head * params.row_step + i % params.value;
        let latent = (group.y * params.heads + head) * params.v_width;
        var sum = 0.0;
        for (var b = 0u; b < blocks; b++) {
            let product = inner(weight_block(row, b, params.v_width), latent_block(latent, b));
            sum += product * block_scale(row, b, params.v_width);
        }
        values_out[(group.y * params.heads + head) * params.value + i % params.value] = sum;
    }
}
