// Products of four rows of a matrix with an input, normed or not, as far as one lane makes them. The importer has the constant NORM, and
// `norm_pair`.
#import block
#import input

struct Sums {
    rows: vec4<f32>,
    // Of the input's squares; 0 where nobody wants it.
    squares: f32,
}

// Adds pair j of block `at` of the input that starts at float `first`; nothing past the last block.
fn add_pair(sums: ptr<function, Sums>, row: vec4<u32>, first: u32, at: u32, j: u32, cols: u32) {
    let blocks = (cols + 31u) >> 5u;
    let b = min(at, blocks - 1u);
    var v = input_pair(first, b, j, cols);
    if (at >= blocks) {
        v = Pair();
    }
    if (NORM) {
        (*sums).squares += inner_pair(v, v);
        v = times_pair(v, norm_pair(b, j));
    }
    (*sums).rows += vec4<f32>(
        inner_pair(weight_pair(row.x, b, j, cols), v) * block_scale(row.x, b, cols),
        inner_pair(weight_pair(row.y, b, j, cols), v) * block_scale(row.y, b, cols),
        inner_pair(weight_pair(row.z, b, j, cols), v) * block_scale(row.z, b, cols),
        inner_pair(weight_pair(row.w, b, j, cols), v) * block_scale(row.w, b, cols),
    );
}

// What lane `lane` of `lanes` adds up. The loop asks twice whether there is a block, so that no driver unrolls it: a launch of decoding
// runs its code once or twice, and a GPU waits for the code as it does for weights. An H200 makes 561 tokens a second of a shape of
// 1.3 billion weights so, and about 450 without, or with two or four steps at a time.
fn four_rows(row: vec4<u32>, first: u32, cols: u32, lane: u32, lanes: u32) -> Sums {
    let blocks = (cols + 31u) >> 5u;
    let step = lanes >> 2u;
    let j = lane & 3u;
    var sums = Sums();
    for (var b = lane >> 2u; b < blocks; b += step) {
        add_pair(&sums, row, first, b, j, cols);
    }
    return sums;
}
