// Matrix times many vectors, as matvec: in strips of registers with subgroup operations, and in tiles of 32 rows by 32 tokens
// staged in workgroup memory without.
#import format
#import planes
#import product
#import state

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>; // [T, x_stride]
@group(0) @binding(3) var<storage, read> norm: array<vec4<f32>>; // [K]
@group(0) @binding(4) var<storage, read> weights: array<vec4<u32>>; // plane [N, K]
@group(0) @binding(5) var<storage, read> scales: array<u32>; // plane [N, K/32]
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [T, y_stride]
@group(0) @binding(7) var<storage, read> bias: array<f32>; // [N]

override NORM: bool = false;
override GATED: bool = false;

#ifdef subgroups
#import strip

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    // The invocation's two rows; those past the end repeat the last ones, and are not written.
    let index = group.x * 64u + local;
    let half = params.rows >> 1u;
    let inside = select(vec2<u32>(2u * index, 2u * index + 1u), vec2<u32>(min(index, half - 1u)) + vec2<u32>(0u, half), GATED);
    let row = min(inside, vec2<u32>(params.rows - 1u)) + params.row_first + group.z * params.row_step;
    let token = group.y * TOKENS;
    let count = min(state.tokens - token, TOKENS);
    var s = Strip();
    for (var i = 0u; i < 4u; i++) {
        let tokens = min(token + 4u * i + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(state.tokens - 1u));
        s.at[i] = (tokens * params.x_stride + group.z * params.x_step) >> vec4<u32>(2u);
    }
    for (var b = 0u; b < (params.cols >> 5u); b++) {
        add_block(&s, count, row, b, params.cols, local);
    }
    for (var i = 0u; i < 4u; i++) {
        let sums = finish(s.sums[i], params.cols);
        for (var j = 0u; j < 4u && 4u * i + j < count; j++) {
            let dest = (token + 4u * i + j) * params.y_stride + group.z * params.y_step;
            put(dest, index, sums.a[j], sums.b[j]);
        }
    }
}
#else
#import input
#import tile

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    // Of a gated product a tile has 16 gates and their ups.
    let first_row = group.x * select(TILE, TILE >> 1u, GATED);
    let first_token = group.y * TILE;
    let blocks = (params.cols + 31u) >> 5u;
    let line = local & 31u;
    let across = local & 7u;
    let down = local >> 3u;
    // Sums of tokens down + 8j by rows across + 8i.
    var sums = array<vec4<f32>, 4>();
    var squares = 0.0;
    for (var b = 0u; b < blocks; b++) {
        // Lines past the end repeat the last one; what they make is not written.
        if (local < TILE) {
            let up = GATED && line >= 16u;
            let inside = min(first_row + select(line, line - 16u + (params.rows >> 1u), up), params.rows - 1u);
            let row = params.row_first + group.z * params.row_step + inside;
            let scale = block_scale(row, b, params.cols);
            let v = weight_block(row, b, params.cols);
            stage_row(line, v, scale);
        } else {
            let token = min(first_token + line, state.tokens - 1u);
            let v = input_block(token * params.x_stride + group.z * params.x_step, b, params.cols);
            squares += stage_input(line, v, b);
        }
        workgroupBarrier();
        multiply(down, across, &sums);
        workgroupBarrier();
    }
    if (local >= TILE) {
        stage_factor(line, squares);
    }
    workgroupBarrier();
    for (var j = 0u; j < 4u; j++) {
        let token = first_token + down + 8u * j;
        if (token < state.tokens) {
            let dest = token * params.y_stride + group.z * params.y_step;
            put(dest, first_row + across, factors[down + 8u * j] * sums[j]);
        }
    }
}
#endif
