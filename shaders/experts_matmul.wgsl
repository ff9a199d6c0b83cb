// Products with the chosen experts for many tokens: a workgroup takes a row tile of one expert, finds the pairs (token, choice)
// that chose it, and multiplies them tile by tile, so that an expert is read once however many chose it. Nothing is sorted
// and nothing read back: looking through the pairs costs less than a launch.
#import format
#import input
#import pool
#import state
#import tile

struct Params {
    rows: u32,
    cols: u32,
    experts: u32,
    chosen: u32,
    sharing: u32,
    stride: u32,
    weights: u32,
    scales: u32,
    gated: u32,
    norm: u32,
    eps: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>; // [T·k/sharing, K]
@group(0) @binding(3) var<storage, read> norm: array<vec4<f32>>; // [K]
@group(0) @binding(4) var<storage, read> chosen: array<vec2<u32>>; // [T, k]: expert, bits of its weight
@group(0) @binding(5) var<storage, read> slots: array<u32>; // [E]
@group(0) @binding(6) var<storage, read> pool: array<vec4<u32>>; // records of `stride` words
@group(0) @binding(7) var<storage, read_write> y: array<f32>; // [T, k, N or N/2]

// Pairs looked through at once: eight an invocation.
const WINDOW = 512u;

var<workgroup> pairs: array<u32, WINDOW>; // those of this expert
var<workgroup> counts: array<u32, 64>; // of each invocation
var<workgroup> count: u32;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let record = slots[group.y] * params.stride;
    plane_weights = record + params.weights;
    plane_scales = record + params.scales;
    for (var start = 0u; start < state.tokens * params.chosen; start += WINDOW) {
        gather(group.y, start, local);
        let found = workgroupUniformLoad(&count);
        for (var first = 0u; first < found; first += TILE) {
            tile(group.x, first, found, local);
        }
    }
}

// Fills `pairs` with those of the window that chose the expert, in order.
fn gather(expert: u32, start: u32, local: u32) {
    let mine = start + 8u * local;
    var hits = 0u;
    for (var i = mine; i < mine + 8u; i++) {
        hits += select(0u, 1u, chose(i, expert));
    }
    counts[local] = hits;
    workgroupBarrier();
    var at = 0u;
    for (var i = 0u; i < local; i++) {
        at += counts[i];
    }
    for (var i = mine; i < mine + 8u; i++) {
        if (chose(i, expert)) {
            pairs[at] = i;
            at++;
        }
    }
    if (local == 63u) {
        count = at;
    }
}

fn chose(pair: u32, expert: u32) -> bool {
    return pair < state.tokens * params.chosen && chosen[min(pair, state.tokens * params.chosen - 1u)].x == expert;
}

// Multiplies pairs `first` to `first + 31` by a row tile; of a gated product it has 16 gates and their ups.
fn tile(column: u32, first: u32, found: u32, local: u32) {
    let first_row = column * (TILE >> params.gated);
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
            let pair = pairs[min(first + line, found - 1u)];
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
        if (i < found) {
            put(pairs[i] * (params.rows >> params.gated), first_row + across, factors[down + 8u * j] * sums[j]);
        }
    }
}

// The row of a line: gates are even rows and ups odd ones.
fn row_of(first_row: u32, line: u32) -> u32 {
    return select(first_row + line, 2u * (first_row + (line & 15u)) + (line >> 4u), params.gated == 1u);
}

fn put_one(dest: u32, row: u32, v: f32) {
    if (row < (params.rows >> params.gated)) {
        y[dest + row] = v;
    }
}
