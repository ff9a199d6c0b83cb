// Reductions over the THREADS invocations of a workgroup, in two levels: two barriers each, whatever the subgroup size.
// Every invocation gets the result. Call in uniform control flow. The importer defines THREADS, a multiple of 16.

var<workgroup> reduce_cells: array<f32, THREADS>;
var<workgroup> reduce_heads: array<f32, 16>;

fn reduce_sum(local: u32, v: f32) -> f32 {
    reduce_cells[local] = v;
    workgroupBarrier();
    if (local < 16u) {
        var part = 0.0;
        for (var i = 0u; i < THREADS / 16u; i++) {
            part += reduce_cells[local * (THREADS / 16u) + i];
        }
        reduce_heads[local] = part;
    }
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < 16u; i++) {
        total += reduce_heads[i];
    }
    return total;
}
