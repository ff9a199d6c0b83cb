// 16-bit float weights: two values a word, rows padded to whole words.
#import block
#import whole

fn two_pairs(words: vec2<u32>) -> vec4<f32> {
#ifdef bf16
    return bitcast<vec4<f32>>(vec4<u32>(words.x << 16u, words.x & 0xFFFF0000u, words.y << 16u, words.y & 0xFFFF0000u));
#else
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
#endif
}

fn weight_block(row: u32, b: u32, cols: u32) -> Block {
    let words = (cols + 1u) >> 1u;
    let start = row * words + 16u * b;
    let left = words - 16u * b;
    if (WHOLE || (left >= 16u && (start & 3u) == 0u)) {
        let i = start >> 2u;
        let q0 = weight_whole(i);
        let q1 = weight_whole(i + 1u);
        let q2 = weight_whole(i + 2u);
        let q3 = weight_whole(i + 3u);
        return Block(
            two_pairs(q0.xy),
            two_pairs(q0.zw),
            two_pairs(q1.xy),
            two_pairs(q1.zw),
            two_pairs(q2.xy),
            two_pairs(q2.zw),
            two_pairs(q3.xy),
            two_pairs(q3.zw),
        );
    }
    // The end of a row, or a row that starts inside a quad: word by word, in one small loop.
    var v = Block();
    for (var n = 0u; n < min(left, 16u); n++) {
        let two = two_pairs(vec2<u32>(weight_word(start + n), 0u)).xy;
        v[n >> 1u][(n & 1u) * 2u] = two.x;
        v[n >> 1u][(n & 1u) * 2u + 1u] = two.y;
    }
    return v;
}

// Values of words i and i + 1, zeros from word `end` on.
fn two_words(i: u32, end: u32) -> vec4<f32> {
    if (WHOLE) {
        let words = weight_whole(i >> 2u);
        return two_pairs(select(words.xy, words.zw, (i & 2u) == 2u));
    }
    // No branch, as in f32.
    let at = vec2<u32>(i, i + 1u);
    let safe = min(at, vec2<u32>(end - 1u));
    let words = vec2<u32>(weight_word(safe.x), weight_word(safe.y));
    return two_pairs(select(vec2<u32>(0u), words, at < vec2<u32>(end)));
}

// See Pair.
fn weight_pair(row: u32, b: u32, j: u32, cols: u32) -> Pair {
    let words = (cols + 1u) >> 1u;
    let start = row * words + 16u * b + 2u * j;
    return Pair(two_words(start, (row + 1u) * words), two_words(start + 8u, (row + 1u) * words));
}

fn block_scale(row: u32, b: u32, cols: u32) -> f32 {
    return 1.0;
}
