// Words of a matrix inside an expert's record in `pool`: set `plane_weights` and `plane_scales` first, in words from the
// start of the pool, both multiples of four.

var<private> plane_weights: u32;
var<private> plane_scales: u32;
// Where its biases start, in words too; 0 where it has none.
var<private> plane_biases: u32;

// The bias of a row.
fn bias_at(row: u32) -> f32 {
    if (plane_biases == 0u) {
        return 0.0;
    }
    let i = plane_biases + row;
    return bitcast<f32>(pool[i >> 2u][i & 3u]);
}

// Word i of the weight plane.
fn weight_word(i: u32) -> u32 {
    return pool[(plane_weights + i) >> 2u][i & 3u];
}

// Words 4i to 4i + 3 of the weight plane.
fn weight_whole(i: u32) -> vec4<u32> {
    return pool[(plane_weights >> 2u) + i];
}

// Word i of the scale plane.
fn scale_word(i: u32) -> u32 {
    return pool[(plane_scales + i) >> 2u][(plane_scales + i) & 3u];
}
