// Products of four rows of a matrix with an input, normed or not, as far as one lane makes them. The importer has the constant NORM, and
// `norm_pair`.
#import block
#import input

struct Sums {
    rows: vec4<f32>,
    // Of the input's squares; 0 where nobody wants it.
    squares: f32,
}

// What lane `lane` of `lanes` adds up of the input that starts at float `first`. Nothing is unrolled: a launch of decoding runs its code
// once or twice, so that a GPU waits for the code itself as long as for the weights (on an H200 a token took 1.26 times as long with
// four steps at a time).
fn four_rows(row: vec4<u32>, first: u32, cols: u32, lane: u32, lanes: u32) -> Sums {
    let blocks = (cols + 31u) >> 5u;
    let j = lane & 3u;
    var sums = Sums();
    for (var b = lane >> 2u; b < blocks; b += lanes >> 2u) {
        var v = input_pair(first, b, j, cols);
        if (NORM) {
            sums.squares += inner_pair(v, v);
            v = times_pair(v, norm_pair(b, j));
        }
        sums.rows += vec4<f32>(
            inner_pair(weight_pair(row.x, b, j, cols), v) * block_scale(row.x, b, cols),
            inner_pair(weight_pair(row.y, b, j, cols), v) * block_scale(row.y, b, cols),
            inner_pair(weight_pair(row.z, b, j, cols), v) * block_scale(row.z, b, cols),
            inner_pair(weight_pair(row.w, b, j, cols), v) * block_scale(row.w, b, cols),
        );
    }
    return sums;
}
