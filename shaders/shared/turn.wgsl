// Rotary pairs, turned by the table bound as `turns`: `dims/2` cosines and sines a position. The importer has `interleaved`
// among its Params.

// Where the two of pair i of `dims` floats stand.
fn pair(i: u32, dims: u32) -> vec2<u32> {
    return select(vec2<u32>(i, i + (dims >> 1u)), vec2<u32>(2u * i, 2u * i + 1u), params.interleaved == 1u);
}

// Pair i at a position, turned.
fn turn(position: u32, i: u32, dims: u32, v: vec2<f32>) -> vec2<f32> {
    let by = turns[position * (dims >> 1u) + i];
    return vec2<f32>(v.x * by.x - v.y * by.y, v.y * by.x + v.x * by.y);
}
