// int8 weights: blocks of 32 signed bytes in eight words, with an f16 scale.
#import block
#import scale

fn signed_bytes(word: u32) -> vec4<f32> {
    return vec4<f32>((vec4<i32>(bitcast<i32>(word)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
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

fn block_scale(row: u32, b: u32, cols: u32) -> f32 {
    return scale_at(row * (cols >> 5u) + b);
}
