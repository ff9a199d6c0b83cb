// Words of a matrix bound as `weights` and `scales`.

// Word i of the weight plane.
fn weight_word(i: u32) -> u32 {
    return weights[i >> 2u][i & 3u];
}

// Words 4i to 4i + 3 of the weight plane.
fn weight_whole(i: u32) -> vec4<u32> {
    return weights[i];
}

// Word i of the scale plane.
fn scale_word(i: u32) -> u32 {
    return scales[i];
}
