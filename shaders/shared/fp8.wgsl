// e4m3 weights: blocks of 32 bytes in eight words, with an f32 scale for four blocks of a row.
#import block

// A code without an exponent has no leading one: made with it, twice as large, and taken off again, so that no number on the
// way is subnormal, which a device may flush.
fn four_floats(word: u32) -> vec4<f32> {
    let codes = vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u);
    let bits = (codes & vec4<u32>(127u)) << vec4<u32>(20u);
    let one = bitcast<vec4<f32>>(bits + vec4<u32>(0x3C000000u));
    let size = select(one, 2.0 * one - 0.015625, bits < vec4<u32>(0x800000u));
    return bitcast<vec4<f32>>(bitcast<vec4<u32>>(size) | ((codes & vec4<u32>(128u)) << vec4<u32>(24u)));
}

// Without the scale: see block_scale.
fn weight_block(row: u32, b: u32, cols: u32) -> Block {
    let i = (row * ((cols + 31u) >> 5u) + b) << 1u;
    let low = weight_whole(i);
    let high = weight_whole(i + 1u);
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
    let i = ((row * ((cols + 31u) >> 5u) + b) << 3u) + j;
    return Pair(four_floats(weight_word(i)), four_floats(weight_word(i + 4u)));
}

fn block_scale(row: u32, b: u32, cols: u32) -> f32 {
    return bitcast<f32>(scale_word(row * ((cols + 127u) >> 7u) + (b >> 2u)));
}
