// A strip of a product: two rows an invocation by sixteen tokens, all in registers. Neighbours in fours load a token's
// columns together and hand them to each other by subgroup operations, so that nothing is staged and nothing waits: on a
// software adapter five times as fast as tiles in workgroup memory. For inputs of whole blocks at multiples of four floats. The
// importer has what `tile` asks for.
#import block
#import norm

const TOKENS = 16u;

// Half a block of the two rows.
struct Half {
    a: array<vec4<f32>, 4>,
    b: array<vec4<f32>, 4>,
}

// Sums of four tokens: of each row, and of the quarter of the input's squares that this invocation loads.
struct Four {
    a: vec4<f32>,
    b: vec4<f32>,
    squares: vec4<f32>,
}

// The same of sixteen tokens, and where their inputs start, in quads.
struct Strip {
    at: array<vec4<u32>, 4>,
    sums: array<Four, 4>,
}

// Products of the two rows with sixteen columns of a token, and the squares.
fn one(at: u32, local: u32, w: Half) -> vec3<f32> {
    let own = x[at + (local & 3u)];
    let x0 = subgroupBroadcast(own, 0u);
    let x1 = subgroupBroadcast(own, 1u);
    let x2 = subgroupBroadcast(own, 2u);
    let x3 = subgroupBroadcast(own, 3u);
    let a = x0 * w.a[0] + x1 * w.a[1] + x2 * w.a[2] + x3 * w.a[3];
    let b = x0 * w.b[0] + x1 * w.b[1] + x2 * w.b[2] + x3 * w.b[3];
    return vec3<f32>(a.x + a.y + a.z + a.w, b.x + b.y + b.z + b.w, select(0.0, dot(own, own), NORM));
}

fn four(sums: Four, at: vec4<u32>, local: u32, w: Half) -> Four {
    let t0 = one(at.x, local, w);
    let t1 = one(at.y, local, w);
    let t2 = one(at.z, local, w);
    let t3 = one(at.w, local, w);
    return Four(
        sums.a + vec4<f32>(t0.x, t1.x, t2.x, t3.x),
        sums.b + vec4<f32>(t0.y, t1.y, t2.y, t3.y),
        sums.squares + vec4<f32>(t0.z, t1.z, t2.z, t3.z),
    );
}

// Adds half `half` of block b of `count` tokens; `count` is the same for the whole workgroup.
fn add_half(s: ptr<function, Strip>, count: u32, b: u32, half: u32, local: u32, w: Half) {
    let step = 8u * b + 4u * half;
    (*s).sums[0] = four((*s).sums[0], (*s).at[0] + step, local, w);
    if (count > 4u) {
        (*s).sums[1] = four((*s).sums[1], (*s).at[1] + step, local, w);
    }
    if (count > 8u) {
        (*s).sums[2] = four((*s).sums[2], (*s).at[2] + step, local, w);
        (*s).sums[3] = four((*s).sums[3], (*s).at[3] + step, local, w);
    }
}

// Adds block b of rows `a` and `b` of the matrix, of `cols` columns.
fn add_block(s: ptr<function, Strip>, count: u32, row: vec2<u32>, b: u32, cols: u32, local: u32) {
    var one = weight_block(row.x, b, cols);
    var two = weight_block(row.y, b, cols);
    let f = vec2<f32>(block_scale(row.x, b, cols), block_scale(row.y, b, cols));
    if (NORM) {
        let n = norm_block(b, cols);
        one = times(one, n);
        two = times(two, n);
    }
    // A loop, since a driver that unrolls by itself may, and one that compiles slowly has half as much to do.
    for (var half = 0u; half < 2u; half++) {
        let k = 4u * half;
        add_half(s, count, b, half, local, Half(
            array<vec4<f32>, 4>(one[k] * f.x, one[k + 1u] * f.x, one[k + 2u] * f.x, one[k + 3u] * f.x),
            array<vec4<f32>, 4>(two[k] * f.y, two[k + 1u] * f.y, two[k + 2u] * f.y, two[k + 3u] * f.y),
        ));
    }
}

// What four tokens' sums are, normed if they are to be: each invocation of four knows a quarter of the squares.
fn finish(sums: Four, cols: u32) -> Four {
    if (!NORM) {
        return sums;
    }
    var squares = sums.squares + subgroupShuffleXor(sums.squares, 1u);
    squares += subgroupShuffleXor(squares, 2u);
    let factor = 1.0 / sqrt(squares / f32(cols) + params.eps);
    return Four(sums.a * factor, sums.b * factor, squares);
}

// Writes what the two rows make of a token: their sums, or the one output of a gate and its up.
fn put(dest: u32, index: u32, a: f32, b: f32) {
    if (GATED) {
        put_gated(dest, index, a, b);
    } else {
        put_one(dest, 2u * index, a);
        put_one(dest, 2u * index + 1u, b);
    }
}
