// Reductions of the kernels that walk a vocabulary, over the THREADS invocations of their one workgroup: sums of four, and the
// largest value, of the lowest id among equals. Two barriers each, uniform control flow. All go through the same cells: workgroup
// memory is cleared by browsers, and a software adapter compiles a store for every word of it (80 ms a kilobyte).

override THREADS: u32 = 256u;

struct Best {
    value: f32,
    id: u32,
}

// Below every logit: WGSL promises nothing about infinities.
const LOWEST = -3.4e38;

var<workgroup> cells: array<vec4<f32>, THREADS>;
var<workgroup> heads: array<vec4<f32>, 16>;

fn reduce_four(local: u32, v: vec4<f32>) -> vec4<f32> {
    cells[local] = v;
    workgroupBarrier();
    if (local < 16u) {
        var part = vec4<f32>(0.0);
        for (var i = 0u; i < THREADS / 16u; i++) {
            part += cells[local * (THREADS / 16u) + i];
        }
        heads[local] = part;
    }
    workgroupBarrier();
    var total = vec4<f32>(0.0);
    for (var i = 0u; i < 16u; i++) {
        total += heads[i];
    }
    return total;
}

fn reduce_sum(local: u32, v: f32) -> f32 {
    return reduce_four(local, vec4<f32>(v)).x;
}

fn better(a: Best, b: Best) -> Best {
    if (b.value > a.value || (b.value == a.value && b.id < a.id)) {
        return b;
    }
    return a;
}

// Ids are exact as floats up to 2^24, above every vocabulary.
fn to_cell(best: Best) -> vec4<f32> {
    return vec4<f32>(best.value, f32(best.id), 0.0, 0.0);
}

fn from_cell(cell: vec4<f32>) -> Best {
    return Best(cell.x, u32(cell.y));
}

fn reduce_best(local: u32, mine: Best) -> Best {
    cells[local] = to_cell(mine);
    workgroupBarrier();
    if (local < 16u) {
        var part = from_cell(cells[local * (THREADS / 16u)]);
        for (var i = 1u; i < THREADS / 16u; i++) {
            part = better(part, from_cell(cells[local * (THREADS / 16u) + i]));
        }
        heads[local] = to_cell(part);
    }
    workgroupBarrier();
    var best = from_cell(heads[0]);
    for (var i = 1u; i < 16u; i++) {
        best = better(best, from_cell(heads[i]));
    }
    return best;
}
