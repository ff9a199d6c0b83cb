// Blocks of the input vectors bound as `x`, an array of vec4.
#import block

// Columns 32b to 32b + 31 of the vector of `cols` floats that starts at `first`; zeros past its end.
fn input_block(first: u32, b: u32, cols: u32) -> Block {
    let start = first + 32u * b;
    let left = cols - 32u * b;
    if (left >= 32u && (start & 3u) == 0u) {
        let i = start >> 2u;
        return Block(x[i], x[i + 1u], x[i + 2u], x[i + 3u], x[i + 4u], x[i + 5u], x[i + 6u], x[i + 7u]);
    }
    var v = Block();
    for (var n = 0u; n < min(left, 32u); n++) {
        v[n >> 2u][n & 3u] = x[(start + n) >> 2u][(start + n) & 3u];
    }
    return v;
}
