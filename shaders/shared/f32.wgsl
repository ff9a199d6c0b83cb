// f32 weights: a value a word.
#import block
#import whole

fn weight_block(row: u32, b: u32, cols: u32) -> Block {
    let start = row * cols + 32u * b;
    let left = cols - 32u * b;
    if (WHOLE || (left >= 32u && (start & 3u) == 0u)) {
        let i = start >> 2u;
        return Block(
            bitcast<vec4<f32>>(weight_whole(i)),
            bitcast<vec4<f32>>(weight_whole(i + 1u)),
            bitcast<vec4<f32>>(weight_whole(i + 2u)),
            bitcast<vec4<f32>>(weight_whole(i + 3u)),
            bitcast<vec4<f32>>(weight_whole(i + 4u)),
            bitcast<vec4<f32>>(weight_whole(i + 5u)),
            bitcast<vec4<f32>>(weight_whole(i + 6u)),
            bitcast<vec4<f32>>(weight_whole(i + 7u)),
        );
    }
    // The end of a row, or a row that starts inside a quad: word by word, in one small loop.
    var v = Block();
    for (var n = 0u; n < min(left, 32u); n++) {
        v[n >> 2u][n & 3u] = bitcast<f32>(weight_word(start + n));
    }
    return v;
}

// Words i to i + 3 as floats, zeros from word `end` on.
fn four_words(i: u32, end: u32) -> vec4<f32> {
    if (WHOLE) {
        return bitcast<vec4<f32>>(weight_whole(i >> 2u));
    }
    return vec4<f32>(one_word(i, end), one_word(i + 1u, end), one_word(i + 2u, end), one_word(i + 3u, end));
}

// No branch: there would be dozens, over which a software adapter compiles for ever.
fn one_word(i: u32, end: u32) -> f32 {
    return select(0.0, bitcast<f32>(weight_word(min(i, end - 1u))), i < end);
}

// See Pair.
fn weight_pair(row: u32, b: u32, j: u32, cols: u32) -> Pair {
    let start = row * cols + 32u * b + 4u * j;
    return Pair(four_words(start, (row + 1u) * cols), four_words(start + 16u, (row + 1u) * cols));
}

fn block_scale(row: u32, b: u32, cols: u32) -> f32 {
    return 1.0;
}
