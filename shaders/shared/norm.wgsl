// Blocks of the norm weight bound as `norm`, an array of vec4.
#import block
#import whole

// Columns 32b to 32b + 31; zeros past the end.
fn norm_block(b: u32, cols: u32) -> Block {
    let left = cols - 32u * b;
    if (WHOLE || left >= 32u) {
        let i = 8u * b;
        return Block(
            norm[i],
            norm[i + 1u],
            norm[i + 2u],
            norm[i + 3u],
            norm[i + 4u],
            norm[i + 5u],
            norm[i + 6u],
            norm[i + 7u],
        );
    }
    var v = Block();
    for (var n = 0u; n < left; n++) {
        v[n >> 2u][n & 3u] = norm[8u * b + (n >> 2u)][n & 3u];
    }
    return v;
}

// Value by value.
fn times(a: Block, b: Block) -> Block {
    return Block(
        a[0] * b[0],
        a[1] * b[1],
        a[2] * b[2],
        a[3] * b[3],
        a[4] * b[4],
        a[5] * b[5],
        a[6] * b[6],
        a[7] * b[7],
    );
}

// A pair of block b: see Pair. Past the end are whatever the buffer has there: inputs are zeros.
fn norm_pair(b: u32, j: u32) -> Pair {
    return Pair(norm[8u * b + j], norm[8u * b + j + 4u]);
}
