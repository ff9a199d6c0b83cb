// The largest value of a workgroup's THREADS invocations, of the lowest id among equals. As `reduce`: two barriers, uniform
// control flow.

struct Best {
    value: f32,
    id: u32,
}

// Below every logit: WGSL promises nothing about infinities.
const LOWEST = -3.4e38;

var<workgroup> best_cells: array<Best, THREADS>;
var<workgroup> best_heads: array<Best, 16>;

fn better(a: Best, b: Best) -> Best {
    if (b.value > a.value || (b.value == a.value && b.id < a.id)) {
        return b;
    }
    return a;
}

fn reduce_best(local: u32, mine: Best) -> Best {
    best_cells[local] = mine;
    workgroupBarrier();
    if (local < 16u) {
        var part = best_cells[local * (THREADS / 16u)];
        for (var i = 1u; i < THREADS / 16u; i++) {
            part = better(part, best_cells[local * (THREADS / 16u) + i]);
        }
        best_heads[local] = part;
    }
    workgroupBarrier();
    var best = best_heads[0];
    for (var i = 1u; i < 16u; i++) {
        best = better(best, best_heads[i]);
    }
    return best;
}
