//! Inputs of the products: odd shapes, strides, norms, gates, batches.

use moebius_engine::format::Format;
use moebius_engine::kernel::{self, Kernel};
use moebius_tests::Random;

use super::{Case, LONG, widths};

pub(super) fn matvec(format: Format, r: &mut Random) -> Vec<Case> {
    let shapes = [
        (1, 1, 0, 0, 0, 0),
        (17, 1, 1, 0, 1, 0),
        (40, 3, 0, 3, 1, 0),
        (33, 4, 1, 5, 0, 0),
        (2, 1, 0, 0, 0, 1),
        (78, 2, 0, 3, 1, 1),
    ];
    products(&kernel::MATVEC, format, &widths(format, &[32, 256, 320, 4096], &[1, 7, 33, 100, 255]), &shapes, r)
}

pub(super) fn matmul(format: Format, r: &mut Random) -> Vec<Case> {
    let shapes = [
        (1, 1, 0, 0, 1, 0),
        (32, 32, 0, 0, 0, 0),
        (33, 31, 1, 0, 1, 0),
        (64, 33, 1, 0, 0, 0),
        (70, 5, 0, 3, 0, 0),
        (31, 70, 1, 2, 1, 0),
        (2, 3, 0, 0, 0, 1),
        (78, 33, 0, 3, 1, 1),
    ];
    let mut cases = products(&kernel::MATMUL, format, &widths(format, &[32, 256, 320], &[3, 33, 63]), &shapes, r);
    if format == LONG {
        cases.extend(products(&kernel::MATMUL, format, &[320], &[(300, 40, 1, 0, 1, 0), (330, 37, 0, 6, 0, 1)], r));
        cases.extend([(9, 4, 40, 40), (7, 2, 48, 37)].map(|sizes| batch(&kernel::MATMUL, format, 320, sizes, r)));
    }
    cases
}

/// Products of all widths and shapes: rows, tokens, accumulate, spare floats between tokens, norm, gated.
fn products(
    kernel: &'static Kernel,
    format: Format,
    widths: &[usize],
    shapes: &[(usize, usize, u32, usize, u32, u32)],
    r: &mut Random,
) -> Vec<Case> {
    let mut cases = Vec::new();
    for &cols in widths {
        for &(rows, tokens, accumulate, spare, norm, gated) in shapes {
            // One sum of hundreds may all but cancel, and bounds follow the largest: more rows, and one is large.
            let rows = if cols > 100 { rows + 8 } else { rows };
            // Where tokens lie apart, other launches make what is between.
            let first = spare / 2;
            let (x_stride, y_stride) = (cols + spare, (rows >> gated) + spare);
            let p = kernel::Matmul {
                x_stride: x_stride as u32,
                y_stride: y_stride as u32,
                accumulate,
                norm,
                eps: 1e-5,
                gated,
                bias: u32::from(gated == 0 && accumulate == 0),
                scale: if spare > 0 { 0.25 } else { 1.0 },
                first: first as u32,
                ..kernel::Matmul::plain(rows as u32, cols as u32)
            };
            let name = format!(
                "{rows}x{cols} tokens {tokens} accumulate {accumulate} spare {spare} norm {norm} gated {gated}"
            );
            let mut case = Case::new(kernel, &p, tokens, name).format(format);
            if kernel.bindings[0].name == "state" {
                case = case.state(3);
            }
            case = case.floats(&r.floats(x_stride * tokens, 1.0)).floats(&r.floats(cols, 1.0));
            case = case.matrix(r, rows, cols).updated(&r.floats(y_stride * tokens, 1.0));
            cases.push(case.floats(&r.floats(first + rows, 1.0)));
        }
        cases.extend([(1, 4, 9, 1), (3, 5, 17, 2), (2, 66, 40, 37)].map(|sizes| batch(kernel, format, cols, sizes, r)));
    }
    cases
}

/// A batch as latent attention has it: heads, rows of a head before its values, values, tokens.
fn batch(
    kernel: &'static Kernel,
    format: Format,
    cols: usize,
    (heads, nope, value, tokens): (usize, usize, usize, usize),
    r: &mut Random,
) -> Case {
    let p = kernel::Matmul {
        x_stride: (heads * cols) as u32,
        y_stride: (heads * value) as u32,
        batch: heads as u32,
        row_first: nope as u32,
        row_step: (nope + value) as u32,
        x_step: cols as u32,
        y_step: value as u32,
        ..kernel::Matmul::plain(value as u32, cols as u32)
    };
    let name = format!("{heads} times {value} of {}x{cols} tokens {tokens}", nope + value);
    let mut case = Case::new(kernel, &p, tokens, name).format(format);
    if kernel.bindings[0].name == "state" {
        case = case.state(3);
    }
    let case = case.floats(&r.floats(tokens * heads * cols, 1.0)).floats(&[0.0; 4]);
    case.matrix(r, heads * (nope + value), cols).output(tokens * heads * value).floats(&[0.0])
}
