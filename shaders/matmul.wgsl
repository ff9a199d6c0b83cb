// Matrix times many vectors, as matvec, in tiles of 32 rows by 32 tokens staged in workgroup memory. Who stages a token sums
// its squares on the way.
#import format
#import input
#import norm
#import planes
#import silu
#import state
#import tile

struct Params {
    rows: u32,
    cols: u32,
    x_stride: u32,
    y_stride: u32,
    accumulate: u32,
    norm: u32,
    eps: f32,
    gated: u32,
    batch: u32,
    row_first: u32,
    row_step: u32,
    x_step: u32,
    y_step: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>; // [T, x_stride]
@group(0) @binding(3) var<storage, read> norm: array<vec4<f32>>; // [K]
@group(0) @binding(4) var<storage, read> weights: array<vec4<u32>>; // plane [N, K]
@group(0) @binding(5) var<storage, read> scales: array<u32>; // plane [N, K/32]
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [T, y_stride]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    // Of a gated product a tile has 16 gates and their ups.
    let first_row = group.x * (TILE >> params.gated);
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
            let up = params.gated == 1u && line >= 16u;
            let inside = min(first_row + select(line, line - 16u + (params.rows >> 1u), up), params.rows - 1u);
            let row = params.row_first + group.z * params.row_step + inside;
            let scale = block_scale(row, b, params.cols);
            let v = weight_block(row, b, params.cols);
            stage_row(line, v, scale);
        } else {
            let token = min(first_token + line, state.tokens - 1u);
            var v = input_block(token * params.x_stride + group.z * params.x_step, b, params.cols);
            if (params.norm == 1u) {
                squares += inner(v, v);
                v = times(v, norm_block(b, params.cols));
            }
            stage_token(line, v);
        }
        workgroupBarrier();
        multiply(down, across, &sums);
        workgroupBarrier();
    }
    if (local >= TILE) {
        factors[line] = select(1.0, 1.0 / sqrt(squares / f32(params.cols) + params.eps), params.norm == 1u);
    }
    workgroupBarrier();
    let part = group.z * params.y_step;
    put(first_token + down, part, first_row + across, factors[down] * sums[0]);
    put(first_token + down + 8u, part, first_row + across, factors[down + 8u] * sums[1]);
    put(first_token + down + 16u, part, first_row + across, factors[down + 16u] * sums[2]);
    put(first_token + down + 24u, part, first_row + across, factors[down + 24u] * sums[3]);
}

// Writes one token's rows `row`, `row + 8`, `row + 16` and `row + 24`, or what gates and ups make: `row` and `row + 8`.
fn put(token: u32, part: u32, row: u32, v: vec4<f32>) {
    if (token >= state.tokens) {
        return;
    }
    let dest = token * params.y_stride + part;
    if (params.gated == 1u) {
        put_one(dest, row, silu(v.x) * v.z);
        put_one(dest, row + 8u, silu(v.y) * v.w);
    } else {
        put_one(dest, row, v.x);
        put_one(dest, row + 8u, v.y);
        put_one(dest, row + 16u, v.z);
        put_one(dest, row + 24u, v.w);
    }
}

fn put_one(dest: u32, row: u32, v: f32) {
    if (row < (params.rows >> params.gated)) {
        y[dest + row] = select(v, y[dest + row] + v, params.accumulate == 1u);
    }
}
