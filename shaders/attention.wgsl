// Causal attention over the cache, softmax(q·kᵀ·scale)·v: see attend.
#import attend

struct Params {
    heads: u32,
    kv_heads: u32,
    k_width: u32,
    v_width: u32,
    k_stride: u32,
    v_stride: u32,
    scale: f32,
    window: u32,
    splits: u32,
    tokens: u32,
    value: u32,
    row_first: u32,
    row_step: u32,
    half: u32,
    apart: u32,
}

#ifdef subgroups
@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) invocation: u32,
) {
    attend(group, local, invocation);
}
#else
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    attend(group, local);
}
#endif
