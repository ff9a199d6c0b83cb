// Lanes: LANES neighbouring invocations of a workgroup share a row, each with some of its blocks, and sum what they
// made. With subgroup operations a sum needs neither workgroup memory nor a barrier, which is what a launch waits for most
// on every device, and on software adapters most of its time. A group of more lanes than WIDTH, those of a subgroup, adds its subgroups'
// sums up in workgroup memory. The importer defines THREADS, the workgroup's size.

override LANES: u32 = 8u;

// Which lane of its group an invocation is.
fn lane_of(local: u32) -> u32 {
    return local & (LANES - 1u);
}

#ifdef subgroups
// Lanes that shuffle.
override WIDTH: u32 = 256u;
// How many times WIDTH the workgroup has.
override CELLS: u32 = 1u;

var<workgroup> lane_sums: array<vec4<f32>, CELLS>;
var<workgroup> lane_more: array<f32, CELLS>;

// Sums over a group's lanes, for all of them. Call in uniform control flow.
fn lanes_sum(local: u32, v: vec4<f32>) -> vec4<f32> {
    var sum = v;
    for (var apart = min(LANES, WIDTH) >> 1u; apart > 0u; apart >>= 1u) {
        sum += subgroupShuffleXor(sum, apart);
    }
    if (LANES > WIDTH) {
        lane_sums[local / WIDTH] = sum;
        workgroupBarrier();
        sum = vec4<f32>(0.0);
        for (var i = 0u; i < LANES / WIDTH; i++) {
            sum += lane_sums[local / LANES * (LANES / WIDTH) + i];
        }
    }
    return sum;
}

// The same of one value more.
fn lanes_more(local: u32, v: f32) -> f32 {
    var sum = v;
    for (var apart = min(LANES, WIDTH) >> 1u; apart > 0u; apart >>= 1u) {
        sum += subgroupShuffleXor(sum, apart);
    }
    if (LANES > WIDTH) {
        lane_more[local / WIDTH] = sum;
        workgroupBarrier();
        sum = 0.0;
        for (var i = 0u; i < LANES / WIDTH; i++) {
            sum += lane_more[local / LANES * (LANES / WIDTH) + i];
        }
    }
    return sum;
}
// The largest over a group's lanes.
fn lanes_max(v: vec4<f32>) -> vec4<f32> {
    var most = v;
    for (var apart = LANES >> 1u; apart > 0u; apart >>= 1u) {
        most = max(most, subgroupShuffleXor(most, apart));
    }
    return most;
}
#else
var<workgroup> lane_sums: array<vec4<f32>, THREADS>;
var<workgroup> lane_more: array<f32, THREADS>;

fn lanes_sum(local: u32, v: vec4<f32>) -> vec4<f32> {
    lane_sums[local] = v;
    workgroupBarrier();
    var sum = vec4<f32>(0.0);
    for (var i = 0u; i < LANES; i++) {
        sum += lane_sums[local - lane_of(local) + i];
    }
    return sum;
}

fn lanes_more(local: u32, v: f32) -> f32 {
    lane_more[local] = v;
    workgroupBarrier();
    var sum = 0.0;
    for (var i = 0u; i < LANES; i++) {
        sum += lane_more[local - lane_of(local) + i];
    }
    return sum;
}
#endif
