// int4 weights: blocks of 32 nibbles in four words, offset by 8, with an f16 scale. Low nibbles are columns 0 to 15.
#import block
#import scale

// A nibble at the end of the mantissa of 2^23 is 2^23 more than itself: GPUs take long to convert integers, not to subtract.
fn four_nibbles(word: u32) -> vec4<f32> {
    let nibbles = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(15u);
    return bitcast<vec4<f32>>(nibbles | vec4<u32>(0x4B000000u)) - 8388616.0;
}

// Without the scale: see block_scale.
fn weight_block(row: u32, b: u32, cols: u32) -> Block {
    let low = weight_whole(row * (cols >> 5u) + b);
    let high = low >> vec4<u32>(4u);
    return Block(
        four_nibbles(low.x),
        four_nibbles(low.y),
        four_nibbles(low.z),
        four_nibbles(low.w),
        four_nibbles(high.x),
        four_nibbles(high.y),
        four_nibbles(high.z),
        four_nibbles(high.w),
    );
}

// Likewise: see Pair.
fn weight_pair(row: u32, b: u32, j: u32, cols: u32) -> Pair {
    let word = weight_word(((row * (cols >> 5u) + b) << 2u) + j);
    return Pair(four_nibbles(word), four_nibbles(word >> 4u));
}

fn block_scale(row: u32, b: u32, cols: u32) -> f32 {
    return scale_at(row * (cols >> 5u) + b);
}
