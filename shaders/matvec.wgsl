// Matrix times few vectors: y[t] (+)= scale · (W · n + b), n = x[t] or norm(x[t]), or silu(W_gate · n) ⊙ (W_up · n) for W · n. A
// group of lanes shares four rows, so that an input, once loaded, serves them all. Each group reads the whole vector, so it has
// its sum of squares too, and a norm costs no pass of its own.
override THREADS: u32 = 64u;
#import format
#import lanes
#import planes
#import product
#import norm
#import rows
#import silu

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T, x_stride]
@group(0) @binding(2) var<storage, read> norm: array<vec4<f32>>; // [K]
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>; // plane [N, K]
@group(0) @binding(4) var<storage, read> scales: array<u32>; // plane [N, K/32]
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, y_stride]
@group(0) @binding(6) var<storage, read> bias: array<f32>; // [N]

// As in Params: asked once and not of every block, which is a quarter of the time on a software adapter.
override NORM: bool = false;
override GATED: bool = false;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = rows_of(group.x * (THREADS / LANES) + local / LANES);
    let safe = min(row, vec4<u32>(params.rows - 1u)) + params.row_first + group.z * params.row_step;
    let first = group.y * params.x_stride + group.z * params.x_step;
    let sums = four_rows(safe, first, params.cols, lane_of(local), LANES);
    var total = lanes_sum(local, sums.rows);
    if (NORM) {
        total /= sqrt(lanes_more(local, sums.squares) / f32(params.cols) + params.eps);
    }
    if (lane_of(local) != 0u) {
        return;
    }
    let dest = group.y * params.y_stride + group.z * params.y_step;
    if (GATED) {
        put_one(dest, row.x, silu(total.x) * total.z);
        put_one(dest, row.y, silu(total.y) * total.w);
    } else {
        put_one(dest, row.x, total.x);
        put_one(dest, row.y, total.y);
        put_one(dest, row.z, total.z);
        put_one(dest, row.w, total.w);
    }
}

// Rows of a group: four in turn, or two gates and their ups. Those past the end are not written.
fn rows_of(index: u32) -> vec4<u32> {
    let half = params.rows >> 1u;
    let first = select(index * 4u, index * 2u, GATED);
    let third = select(first + 2u, first + half, GATED);
    return vec4<u32>(first, first + 1u, third, third + 1u);
}
