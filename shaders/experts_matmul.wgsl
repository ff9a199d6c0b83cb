// Products with the chosen experts for many tokens: a workgroup takes some rows of one expert and the pairs (token, choice)
// that chose it, as experts_sort lists them, so that an expert is read once for many. Strips or tiles as in matmul.
#import format
#import pool
#import silu

struct Params {
    rows: u32,
    cols: u32,
    experts: u32,
    sharing: u32,
    stride: u32,
    weights: u32,
    scales: u32,
    gated: u32,
    norm: u32,
    eps: f32,
    bias: u32,
    limit: f32,
    outputs: u32,
    first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T·k/sharing, K]
@group(0) @binding(2) var<storage, read> norm: array<vec4<f32>>; // [K]
@group(0) @binding(3) var<storage, read> sorted: array<u32>; // [E + 1 + T·k]: see experts_sort
@group(0) @binding(4) var<storage, read> slots: array<u32>; // [E]
@group(0) @binding(5) var<storage, read> pool: array<vec4<u32>>; // records of `stride` words
@group(0) @binding(6) var<storage, read_write> y: array<f32>; // [T, k, outputs]

override NORM: bool = false;
override GATED: bool = false;

fn put_one(dest: u32, row: u32, v: f32) {
    if (row < params.rows) {
        y[dest + row] = v + bias_at(row);
    }
}

fn put_gated(dest: u32, row: u32, gate: f32, up: f32) {
    if (row < (params.rows >> 1u)) {
        y[dest + row] = swiglu(gate + bias_at(2u * row), up + bias_at(2u * row + 1u), params.limit);
    }
}

// Where the outputs of a pair start that are made here.
fn dest_of(pair: u32) -> u32 {
    return pair * params.outputs + params.first;
}

#ifdef subgroups
#import strip

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let record = slots[group.y] * params.stride;
    plane_weights = record + params.weights;
    plane_scales = record + params.scales;
    plane_biases = select(0u, record + params.bias, params.bias > 0u);
    let end = sorted[group.y + 1u];
    // The invocation's two rows, of a gated product a gate and its up; those past the end repeat the last one.
    let index = group.x * 64u + local;
    let row = min(vec2<u32>(2u * index, 2u * index + 1u), vec2<u32>(params.rows - 1u));
    for (var first = sorted[group.y]; first < end; first += TOKENS) {
        let count = min(end - first, TOKENS);
        var s = Strip();
        for (var i = 0u; i < 4u; i++) {
            let at = min(first + 4u * i + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(end - 1u)) + params.experts + 1u;
            let pairs = vec4<u32>(sorted[at.x], sorted[at.y], sorted[at.z], sorted[at.w]);
            s.at[i] = (pairs / params.sharing * params.cols) >> vec4<u32>(2u);
        }
        for (var b = 0u; b < (params.cols >> 5u); b++) {
            add_block(&s, count, row, b, params.cols, local);
        }
        for (var i = 0u; i < 4u; i++) {
            let sums = finish(s.sums[i], params.cols);
            for (var j = 0u; j < 4u && 4u * i + j < count; j++) {
                let pair = sorted[first + 4u * i + j + params.experts + 1u];
                put(dest_of(pair), index, sums.a[j], sums.b[j]);
            }
        }
    }
}
#else
#import input
#import tile

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let record = slots[group.y] * params.stride;
    plane_weights = record + params.weights;
    plane_scales = record + params.scales;
    plane_biases = select(0u, record + params.bias, params.bias > 0u);
    let end = sorted[group.y + 1u];
    for (var first = sorted[group.y]; first < end; first += TILE) {
        tile(group.x, first, end, local);
    }
}

fn pair_at(i: u32) -> u32 {
    return sorted[params.experts + 1u + i];
}

// Multiplies pairs `first` to `first + 31` by a row tile; of a gated product it has 16 gates and their ups.
fn tile(column: u32, first: u32, end: u32, local: u32) {
    let first_row = column * select(TILE, TILE >> 1u, GATED);
    let line = local & 31u;
    let across = local & 7u;
    let down = local >> 3u;
    var sums = array<vec4<f32>, 4>();
    var squares = 0.0;
    let blocks = (params.cols + 31u) >> 5u;
    for (var b = 0u; b < blocks; b++) {
        // Lines past the end repeat the last one; what they make is not written.
        if (local < TILE) {
            let row = min(row_of(first_row, line), params.rows - 1u);
            stage_row(line, weight_block(row, b, params.cols), block_scale(row, b, params.cols));
        } else {
            let pair = pair_at(min(first + line, end - 1u));
            let v = input_block(pair / params.sharing * params.cols, b, params.cols);
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
        let i = first + down + 8u * j;
        if (i < end) {
            put(dest_of(pair_at(i)), first_row + across, factors[down + 8u * j] * sums[j]);
        }
    }
}

// The row of a line: gates are even rows and ups odd ones.
fn row_of(first_row: u32, line: u32) -> u32 {
    return select(first_row + line, 2u * (first_row + (line & 15u)) + (line >> 4u), GATED);
}
#endif
