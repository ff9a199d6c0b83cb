// int8 weights: blocks of 32 signed bytes in eight words, with an f16 scale.
#import block
#import scale

// Bytes, made to count from −128, at the end of the mantissa of 2^23, as in q4.
fn signed_bytes(word: u32) -> vec4<f32> {
    let bytes = (vec4<u32>(word ^ 0x80808080u) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
    return bitcast<vec4<f32>>(bytes | vec4<u32>(0x4B000000u)) - 8388736.0;
}

// Without the scale: see block_scale.
fn weight_block(row: u32, b: u32, cols: u32) -> Block {
    let i = (row * (cols >> 5u) + b) << 1u;
    let low = weight_whole(i);
    let high = weight_whole(i + 1u);
    return Block(
        signed_bytes(low.x),
        signed_bytes(low.y),
        signed_bytes(low.z),
        signed_bytes(low.w),
        signed_bytes(high.x),
        signed_bytes(high.y),
        signed_bytes(high.z),
        signed_bytes(high.w),
    );
}

// Likewise: see Pair.
fn weight_pair(row: u32, b: u32, j: u32, cols: u32) -> Pair {
    let i = ((row * (cols >> 5u) + b) << 3u) + j;
    return Pair(signed_bytes(weight_word(i)), signed_bytes(weight_word(i + 4u)));
}

fn block_scale(row: u32, b: u32, cols: u32) -> f32 {
    return scale_at(row * (cols >> 5u) + b);
}
