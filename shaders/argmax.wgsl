// Greedy choice: the id of the largest logit, the lowest among equals, and its log-probability; the next play is of it. One
// workgroup.
#import best
#import state

struct Params {
    vocab: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>; // [V]
@group(0) @binding(2) var<storage, read_write> state: State;
@group(0) @binding(3) var<storage, read_write> tokens: array<u32>; // [1]
@group(0) @binding(4) var<storage, read_write> result: array<u32>; // [4]: id, bits of its log-probability, 0, 0

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) local: u32) {
    var mine = Best(LOWEST, 0u);
    for (var i = local; i < params.vocab; i += THREADS) {
        if (logits[i] > mine.value) {
            mine = Best(logits[i], i);
        }
    }
    let best = reduce_best(local, mine);
    var part = 0.0;
    for (var i = local; i < params.vocab; i += THREADS) {
        part += exp(logits[i] - best.value);
    }
    let total = reduce_sum(local, part);
    if (local == 0u) {
        result[0] = best.id;
        result[1] = bitcast<u32>(-log(total));
        result[2] = 0u;
        result[3] = 0u;
        tokens[0] = best.id;
        state.position += state.tokens;
        state.tokens = 1u;
    }
}
