// A tile of a product: 32 rows by 32 tokens, staged a block of columns at a time. 64 invocations, each with 4 by 4 sums. The
// importer has `eps` and `cols` among its Params, the constants NORM and GATED, a `put_one` for one output and
// a `put_gated` for that of a gate and its up.
#import block
#import norm

const TILE = 32u;
// Quads from one staged line to the next: one more than a block has, against bank conflicts.
const PITCH = 9u;

var<workgroup> rows: array<vec4<f32>, 288>; // [TILE, PITCH]
var<workgroup> tokens: array<vec4<f32>, 288>; // [TILE, PITCH]
var<workgroup> factors: array<f32, TILE>; // of each token, from its norm

fn stage_row(line: u32, v: Block, scale: f32) {
    let at = line * PITCH;
    rows[at] = v[0] * scale;
    rows[at + 1u] = v[1] * scale;
    rows[at + 2u] = v[2] * scale;
    rows[at + 3u] = v[3] * scale;
    rows[at + 4u] = v[4] * scale;
    rows[at + 5u] = v[5] * scale;
    rows[at + 6u] = v[6] * scale;
    rows[at + 7u] = v[7] * scale;
}

fn stage_token(line: u32, v: Block) {
    let at = line * PITCH;
    tokens[at] = v[0];
    tokens[at + 1u] = v[1];
    tokens[at + 2u] = v[2];
    tokens[at + 3u] = v[3];
    tokens[at + 4u] = v[4];
    tokens[at + 5u] = v[5];
    tokens[at + 6u] = v[6];
    tokens[at + 7u] = v[7];
}

// Stages block b of a token's input, normed or not. The squares' sum: zero when nobody wants it.
fn stage_input(line: u32, v: Block, b: u32) -> f32 {
    if (!NORM) {
        stage_token(line, v);
        return 0.0;
    }
    stage_token(line, times(v, norm_block(b, params.cols)));
    return inner(v, v);
}

// What a token's sums are to be multiplied by, from the squares of its input.
fn stage_factor(line: u32, squares: f32) {
    factors[line] = select(1.0, 1.0 / sqrt(squares / f32(params.cols) + params.eps), NORM);
}

// Adds the staged block's products: of tokens down + 8j by rows across + 8i, to sums[j][i].
fn multiply(down: u32, across: u32, sums: ptr<function, array<vec4<f32>, 4>>) {
    for (var k = 0u; k < 8u; k++) {
        let r0 = rows[across * PITCH + k];
        let r1 = rows[(across + 8u) * PITCH + k];
        let r2 = rows[(across + 16u) * PITCH + k];
        let r3 = rows[(across + 24u) * PITCH + k];
        let t0 = tokens[down * PITCH + k];
        let t1 = tokens[(down + 8u) * PITCH + k];
        let t2 = tokens[(down + 16u) * PITCH + k];
        let t3 = tokens[(down + 24u) * PITCH + k];
        (*sums)[0] += vec4<f32>(dot(t0, r0), dot(t0, r1), dot(t0, r2), dot(t0, r3));
        (*sums)[1] += vec4<f32>(dot(t1, r0), dot(t1, r1), dot(t1, r2), dot(t1, r3));
        (*sums)[2] += vec4<f32>(dot(t2, r0), dot(t2, r1), dot(t2, r2), dot(t2, r3));
        (*sums)[3] += vec4<f32>(dot(t3, r0), dot(t3, r1), dot(t3, r2), dot(t3, r3));
    }
}

// Writes rows `row`, `row + 8`, `row + 16` and `row + 24`, or what gates and ups make: `row` and `row + 8`.
fn put(dest: u32, row: u32, v: vec4<f32>) {
    if (GATED) {
        put_gated(dest, row, v.x, v.z);
        put_gated(dest, row + 8u, v.y, v.w);
    } else {
        put_one(dest, row, v.x);
        put_one(dest, row + 8u, v.y);
        put_one(dest, row + 16u, v.z);
        put_one(dest, row + 24u, v.w);
    }
}
