// Puts the splits of attention together: y = Σ_s exp(m_s − m)·y_s / Σ_s exp(m_s − m)·l_s, m the largest of the maxima m_s.
// A sink is one more logit, without a value. A workgroup takes a head of a token; its invocations look at a split each first.
const THREADS = 64u;
// Most splits.
const MOST = 32u;

struct Params {
    heads: u32,
    width: u32,
    splits: u32,
    sinks: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>; // [T, splits, heads, width]
@group(0) @binding(2) var<storage, read> marks: array<vec2<f32>>; // [T, splits, heads]: maximum, sum
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [T, heads, width]
@group(0) @binding(4) var<storage, read> sinks: array<f32>; // [heads]

// Of each split: its maximum, then what it counts; and its sum.
var<workgroup> parts: array<vec2<f32>, MOST>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let first = group.y * params.splits * params.heads + group.x;
    if (local < params.splits) {
        parts[local] = marks[first + local * params.heads];
    }
    workgroupBarrier();
    var largest = -3.0e38;
    if (params.sinks == 1u) {
        largest = sinks[group.x];
    }
    for (var s = 0u; s < params.splits; s++) {
        largest = max(largest, parts[s].x);
    }
    var total = 0.0;
    if (params.sinks == 1u) {
        total = exp(sinks[group.x] - largest);
    }
    workgroupBarrier();
    if (local < params.splits) {
        parts[local].x = exp(parts[local].x - largest);
    }
    workgroupBarrier();
    for (var s = 0u; s < params.splits; s++) {
        total += parts[s].x * parts[s].y;
    }
    let step = params.heads * params.width;
    for (var d = local; d < params.width; d += THREADS) {
        var sum = 0.0;
        for (var s = 0u; s < params.splits; s++) {
            sum += parts[s].x * x[first * params.width + s * step + d];
        }
        y[(group.y * params.heads + group.x) * params.width + d] = sum / total;
    }
}
