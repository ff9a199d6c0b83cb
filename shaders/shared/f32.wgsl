// f32 weights: a value a word.
#import block

fn weight_block(row: u32, b: u32, cols: u32) -> Block {
    let start = row * cols + 32u * b;
    let left = cols - 32u * b;
    if (left >= 32u && (start & 3u) == 0u) {
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

fn block_scale(row: u32, b: u32, cols: u32) -> f32 {
    return 1.0;
}
