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

// Adds the staged block's products: of tokens down + 8j by rows across + 8i, to sums[j][i]. Written out, and in products that are added
// at once: an H200 reads a prompt 1.1 times as fast so.
fn multiply(down: u32, across: u32, sums: ptr<function, array<vec4<f32>, 4>>) {
    multiply_quad(down, across, 0u, sums);
    multiply_quad(down, across, 1u, sums);
    multiply_quad(down, across, 2u, sums);
    multiply_quad(down, across, 3u, sums);
    multiply_quad(down, across, 4u, sums);
    multiply_quad(down, across, 5u, sums);
    multiply_quad(down, across, 6u, sums);
    multiply_quad(down, across, 7u, sums);
}

// The same of a quad of columns.
fn multiply_quad(down: u32, across: u32, k: u32, sums: ptr<function, array<vec4<f32>, 4>>) {
    let r0 = rows[across * PITCH + k];
    let r1 = rows[(across + 8u) * PITCH + k];
    let r2 = rows[(across + 16u) * PITCH + k];
    let r3 = rows[(across + 24u) * PITCH + k];
    let t0 = tokens[down * PITCH + k];
    let t1 = tokens[(down + 8u) * PITCH + k];
    let t2 = tokens[(down + 16u) * PITCH + k];
    let t3 = tokens[(down + 24u) * PITCH + k];
    (*sums)[0] = plus_products((*sums)[0], t0, r0, r1, r2, r3);
    (*sums)[1] = plus_products((*sums)[1], t1, r0, r1, r2, r3);
    (*sums)[2] = plus_products((*sums)[2], t2, r0, r1, r2, r3);
    (*sums)[3] = plus_products((*sums)[3], t3, r0, r1, r2, r3);
}

fn plus_products(
    sums: vec4<f32>,
    t: vec4<f32>,
    r0: vec4<f32>,
    r1: vec4<f32>,
    r2: vec4<f32>,
    r3: vec4<f32>,
) -> vec4<f32> {
    let x = fma(vec4<f32>(t.x), vec4<f32>(r0.x, r1.x, r2.x, r3.x), sums);
    let y = fma(vec4<f32>(t.y), vec4<f32>(r0.y, r1.y, r2.y, r3.y), x);
    let z = fma(vec4<f32>(t.z), vec4<f32>(r0.z, r1.z, r2.z, r3.z), y);
    return fma(vec4<f32>(t.w), vec4<f32>(r0.w, r1.w, r2.w, r3.w), z);
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
