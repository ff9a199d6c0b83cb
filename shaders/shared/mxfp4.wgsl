// e2m1 weights: blocks of 32 nibbles in four words, as in q4, with a power of two for a scale, a byte.
#import block

// The eight sizes, doubled, are the nibbles of one word.
fn four_floats(word: u32) -> vec4<f32> {
    let codes = vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u);
    let sizes = (vec4<u32>(0xC8643210u) >> ((codes & vec4<u32>(7u)) << vec4<u32>(2u))) & vec4<u32>(15u);
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(0.5 * vec4<f32>(sizes)) | ((codes & vec4<u32>(8u)) << vec4<u32>(28u)));
}

// Without the scale: see block_scale.
fn weight_block(row: u32, b: u32, cols: u32) -> Block {
    let low = weight_whole(row * (cols >> 5u) + b);
    let high = low >> vec4<u32>(4u);
    return Block(
        four_floats(low.x),
        four_floats(low.y),
        four_floats(low.z),
        four_floats(low.w),
        four_floats(high.x),
        four_floats(high.y),
        four_floats(high.z),
        four_floats(high.w),
    );
}

// Likewise: see Pair.
fn weight_pair(row: u32, b: u32, j: u32, cols: u32) -> Pair {
    let word = weight_word(((row * (cols >> 5u) + b) << 2u) + j);
    return Pair(four_floats(word), four_floats(word >> 4u));
}

fn block_scale(row: u32, b: u32, cols: u32) -> f32 {
    let i = row * (cols >> 5u) + b;
    return bitcast<f32>(max(((scale_word(i >> 2u) >> ((i & 3u) << 3u)) & 255u) << 23u, 0x400000u));
}
