// What `matvec` and `matmul` share: parameters, and the writing of an output. The importer has a binding `bias`.
#import silu

struct Params {
    rows: u32,
    cols: u32,
    x_stride: u32,
    y_stride: u32,
    accumulate: u32,
    norm: u32,
    eps: f32,
    gated: u32,
    batch: u32,
    row_first: u32,
    row_step: u32,
    x_step: u32,
    y_step: u32,
    bias: u32,
    scale: f32,
    first: u32,
}

override BIAS: bool = false;

// Output `row` of the product whose outputs start at `dest`, if there is one.
fn put_one(dest: u32, row: u32, v: f32) {
    if (row >= (params.rows >> params.gated)) {
        return;
    }
    var value = v;
    if (BIAS) {
        value += bias[params.first + row];
    }
    value *= params.scale;
    let at = dest + params.first + row;
    y[at] = select(value, y[at] + value, params.accumulate == 1u);
}

// The output of a gate and its up, likewise.
fn put_gated(dest: u32, row: u32, gate: f32, up: f32) {
    put_one(dest, row, silu(gate) * up);
}
