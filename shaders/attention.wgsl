// Causal attention over the cache, softmax(q·kᵀ·scale)·v: see attend.
#import attend

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
