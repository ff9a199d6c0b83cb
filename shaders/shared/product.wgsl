// What `matvec` and `matmul` share: parameters, and the writing of an output.

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
}

// Output `row` of the product whose outputs start at `dest`, if there is one.
fn put_one(dest: u32, row: u32, v: f32) {
    if (row < (params.rows >> params.gated)) {
        y[dest + row] = select(v, y[dest + row] + v, params.accumulate == 1u);
    }
}
