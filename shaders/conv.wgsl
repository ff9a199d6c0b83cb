// A short causal convolution of each channel between two gates: y[t] = C ⊙ Σ_k weight[k] ⊙ u[t − K + 1 + k], u = B ⊙ x. What the
// next tokens need of u goes round in a ring.
#import state

struct Params {
    width: u32,
    taps: u32,
    ring: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> state: State;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [T, 3, width]: B, C, x
@group(0) @binding(3) var<storage, read> weight: array<f32>; // [width, taps]
@group(0) @binding(4) var<storage, read_write> past: array<f32>; // [ring, width]: u of position p at p modulo ring
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [T, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width) {
        return;
    }
    let place = state.position + id.y;
    past[(place % params.ring) * params.width + id.x] = made(id.y, id.x);
    var sum = 0.0;
    for (var k = 0u; k < params.taps; k++) {
        let back = params.taps - 1u - k;
        if (back <= place) {
            var u = 0.0;
            // Of this play they are made again: other invocations may not have written them yet.
            if (back <= id.y) {
                u = made(id.y - back, id.x);
            } else {
                u = past[((place - back) % params.ring) * params.width + id.x];
            }
            sum += weight[id.x * params.taps + k] * u;
        }
    }
    y[id.y * params.width + id.x] = x[(3u * id.y + 1u) * params.width + id.x] * sum;
}

fn made(token: u32, i: u32) -> f32 {
    let first = 3u * token * params.width + i;
    return x[first] * x[first + 2u * params.width];
}
