// Scales of blocks: f16, two a word.

// Scale i.
fn scale_at(i: u32) -> f32 {
    let pair = unpack2x16float(scale_word(i >> 1u));
    return select(pair.x, pair.y, (i & 1u) == 1u);
}
