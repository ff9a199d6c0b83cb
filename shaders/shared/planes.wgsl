// Words of a matrix bound as `weights` and `scales`.

// Word i of the weight plane.
fn weight_word(i: u32) -> u32 {
    return weights[i >> 2u][i & 3u];
}

// Words 4i to 4i + 3 of the weight plane.
fn weight_whole(i: u32) -> vec4<u32> {
    return weights[i];
}

// Scale i.
fn scale_at(i: u32) -> f32 {
    let pair = unpack2x16float(scales[i >> 1u]);
    return select(pair.x, pair.y, (i & 1u) == 1u);
}
