// Blocks of the input vectors bound as `x`, an array of vec4.
#import block
#import whole

// Columns 32b to 32b + 31 of the vector of `cols` floats that starts at `first`; zeros past its end.
fn input_block(first: u32, b: u32, cols: u32) -> Block {
    let start = first + 32u * b;
    let left = cols - 32u * b;
    if (WHOLE || (left >= 32u && (start & 3u) == 0u)) {
        let i = start >> 2u;
        return Block(x[i], x[i + 1u], x[i + 2u], x[i + 3u], x[i + 4u], x[i + 5u], x[i + 6u], x[i + 7u]);
    }
    var v = Block();
    for (var n = 0u; n < min(left, 32u); n++) {
        v[n >> 2u][n & 3u] = x[(start + n) >> 2u][(start + n) & 3u];
    }
    return v;
}

// A pair of the same block: see Pair.
fn input_pair(first: u32, b: u32, j: u32, cols: u32) -> Pair {
    let start = first + 32u * b + 4u * j;
    return Pair(input_quad(start, first + cols), input_quad(start + 16u, first + cols));
}

// Floats i to i + 3, zeros from float `end` on.
fn input_quad(i: u32, end: u32) -> vec4<f32> {
    if (WHOLE) {
        return x[i >> 2u];
    }
    return vec4<f32>(input_one(i, end), input_one(i + 1u, end), input_one(i + 2u, end), input_one(i + 3u, end));
}

// No branch, as in f32.
fn input_one(i: u32, end: u32) -> f32 {
    let safe = min(i, end - 1u);
    return select(0.0, x[safe >> 2u][safe & 3u], i < end);
}
