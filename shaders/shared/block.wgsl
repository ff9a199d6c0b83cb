// A block of 32 decoded weights or inputs, in order of column.
alias Block = array<vec4<f32>, 8>;

fn inner(a: Block, b: Block) -> f32 {
    let low = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
    let high = a[4] * b[4] + a[5] * b[5] + a[6] * b[6] + a[7] * b[7];
    return dot(low + high, vec4<f32>(1.0));
}

// Two quads of a block, columns 4j to 4j + 3 and 4j + 16 to 4j + 19, j below 4: what four neighbouring lanes take of it each, so that
// they read neighbouring words of weights and neighbouring quads of inputs.
struct Pair {
    low: vec4<f32>,
    high: vec4<f32>,
}

fn inner_pair(a: Pair, b: Pair) -> f32 {
    return dot(a.low * b.low + a.high * b.high, vec4<f32>(1.0));
}

fn times_pair(a: Pair, b: Pair) -> Pair {
    return Pair(a.low * b.low, a.high * b.high);
}
