// The router whole: logits W · norm(x) and the choice of experts from them. A workgroup takes a token, so that the launch
// between the two is saved; for small routers. It
// is as large as the router asks: a software adapter would run idle invocations too.
override THREADS: u32 = 256u;
const NORM = true;
#import f32
#import lanes
#import planes
#import norm
#import rows
#import choose

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>; // [T, H]
@group(0) @binding(2) var<storage, read> norm: array<vec4<f32>>; // [H]
@group(0) @binding(3) var<storage, read> weights: array<vec4<u32>>; // plane [E, H] or [E + 1, H], f32
@group(0) @binding(4) var<storage, read> scales: array<u32>; // unused: f32 has none
@group(0) @binding(5) var<storage, read> bias: array<f32>; // [E]
@group(0) @binding(6) var<storage, read_write> chosen: array<vec2<u32>>; // [T, k + s]: expert, bits of its weight

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let count = params.experts + params.shared_gate;
    let at_once = 4u * (THREADS / LANES);
    for (var first = 0u; first < count; first += at_once) {
        // Rows past the end repeat the last one, and are not kept.
        let row = first + 4u * (local / LANES);
        let safe = min(vec4<u32>(row, row + 1u, row + 2u, row + 3u), vec4<u32>(count - 1u));
        let sums = four_rows(safe, group.x * params.hidden, params.hidden, lane_of(local), LANES);
        let square = lanes_more(local, sums.squares) / f32(params.hidden);
        let total = lanes_sum(local, sums.rows) / sqrt(square + params.norm_eps);
        if (lane_of(local) == 0u) {
            for (var i = 0u; i < 4u && row + i < count; i++) {
                scores[row + i] = total[i];
            }
        }
        workgroupBarrier();
    }
    choose(group.x, local);
}
