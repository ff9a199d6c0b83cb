// The pairs (token, choice) of a play by the expert they chose, in order: what experts_matmul walks over. One workgroup; an
// invocation counts and lists the pairs of its experts, so that the order never depends on timing.
const THREADS = 256u;
#import state

struct Params {
    experts: u32,
    chosen: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> chosen: array<vec2<u32>>; // [T, k]: expert, bits of its weight
@group(0) @binding(3) var<storage, read_write> sorted: array<u32>; // [E + 1 + T·k]: first pair of each expert, their end, pairs

// How many experts there are, as in choose.
override EXPERTS: u32 = 1024u;

var<workgroup> firsts: array<u32, EXPERTS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) local: u32) {
    let pairs = state.tokens * params.chosen;
    for (var e = local; e < params.experts; e += THREADS) {
        var count = 0u;
        for (var i = 0u; i < pairs; i++) {
            count += select(0u, 1u, chosen[i].x == e);
        }
        firsts[e] = count;
    }
    workgroupBarrier();
    for (var e = local; e < params.experts; e += THREADS) {
        var at = 0u;
        for (var before = 0u; before < e; before++) {
            at += firsts[before];
        }
        sorted[e] = at;
        if (e + 1u == params.experts) {
            sorted[e + 1u] = pairs;
        }
        for (var i = 0u; i < pairs; i++) {
            if (chosen[i].x == e) {
                sorted[params.experts + 1u + at] = i;
                at++;
            }
        }
    }
}
