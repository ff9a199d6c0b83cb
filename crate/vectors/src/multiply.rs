//! Rows of a matrix times inputs: the one loop that most of the time goes to.

use core::ops::Range;

use super::vector::Vector;
use super::weights::{Bf16, F16, F32, Fp8, Half, Mxfp4, Q4, Q8, Weights};
use crate::format::Format;

/// Rows of a matrix, and inputs.
pub struct Multiply<'a> {
    /// Of the matrix.
    pub format: Format,
    /// The matrix's plane of weights.
    pub weights: &'a [u32],
    /// Its plane of scales.
    pub scales: &'a [u32],
    /// Its columns.
    pub cols: usize,
    /// Those of its rows that are multiplied.
    pub rows: Range<usize>,
    /// Inputs as `input.rs` lays them out for these weights.
    pub inputs: &'a [u32],
    /// Which of them are multiplied.
    pub which: &'a [u32],
}

/// Multiplies; `out` is `[which, rows]`.
#[inline(always)]
pub(super) fn multiply<V: Vector>(m: &Multiply<'_>, out: &mut [f32]) {
    match m.format {
        Format::F32 => run::<V, F32>(m, out),
        Format::F16 => run::<V, Half<F16>>(m, out),
        Format::Bf16 => run::<V, Half<Bf16>>(m, out),
        Format::Q8 => run::<V, Q8>(m, out),
        Format::Q4 => run::<V, Q4>(m, out),
        Format::Fp8 => run::<V, Fp8>(m, out),
        Format::Mxfp4 => run::<V, Mxfp4>(m, out),
    }
}

/// Words of a line of a cache.
pub(super) const LINE: usize = 16;

/// Where a row is.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) weights: *const u32,
    pub(super) scales: *const u8,
}

/// The rows' sizes.
struct Shape {
    /// Whole units of a row.
    units: usize,
    /// Words and bytes of scales of what is left.
    rest: Option<(usize, usize)>,
}

#[inline(always)]
fn run<V: Vector, W: Weights<V>>(m: &Multiply<'_>, out: &mut [f32]) {
    let height = m.rows.len();
    if height == 0 || m.which.is_empty() {
        return;
    }
    let rows = Rows::of(m);
    let Rows { words, scales, .. } = rows;
    let stride = m.cols.div_ceil(W::COLS) * W::INPUT;
    let inputs = m.which.iter().max().map_or(0, |i| *i as usize + 1);
    assert!(inputs * stride <= m.inputs.len() && m.which.len() * height <= out.len(), "inputs and products");
    let units = m.cols / W::COLS;
    let rest = || ((words - units * W::WORDS).min(W::WORDS), (scales - W::scale_offset(units)).min(W::SCALES));
    let shape = Shape { units, rest: (m.cols > units * W::COLS).then(rest) };
    let mut done = 0;
    while done < m.which.len() {
        let which = &m.which[done..];
        // SAFETY: all inputs are inside, as was just asserted.
        let input = |i: usize| unsafe { m.inputs.as_ptr().add(which[i.min(which.len() - 1)] as usize * stride) };
        let out = &mut out[done * height..][..which.len() * height];
        // SAFETY: rows and inputs are whole.
        done += unsafe {
            if which.len() == 1 {
                one::<V, W>(&shape, rows, input(0), out)
            } else {
                let inputs = [input(0), input(1), input(2), input(3)];
                four::<V, W>(&shape, rows, inputs, out)
            }
        };
    }
}

/// Rows that follow each other: how far each is from the one before, in words and bytes of scales.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    first: Row,
    words: usize,
    scales: usize,
    count: usize,
}

impl Rows {
    /// Those of a product, one at least.
    #[inline(always)]
    pub(super) fn of(m: &Multiply<'_>) -> Self {
        let (words, scales) = (m.format.row_words(m.cols), m.format.row_scales(m.cols as u64) as usize);
        assert!(m.rows.end * words <= m.weights.len() && m.rows.end * scales <= 4 * m.scales.len(), "rows of a matrix");
        // SAFETY: all rows are inside the planes, as was just asserted.
        let first = unsafe {
            let scale_bytes = m.scales.as_ptr().cast::<u8>();
            Row {
                weights: m.weights.as_ptr().add(m.rows.start * words),
                scales: scale_bytes.add(m.rows.start * scales),
            }
        };
        Rows { first, words, scales, count: m.rows.len() }
    }

    /// Words before row `row`.
    #[inline(always)]
    pub(super) fn word(&self, row: usize) -> usize {
        row * self.words
    }

    /// Reads a word of each line of the `count` words from word `at` on, if all are there: so that they are near when they are wanted,
    /// where a CPU does not see by itself what comes next.
    #[inline(always)]
    pub(super) fn touch(&self, at: usize, count: usize) {
        if at + count <= self.count * self.words {
            for i in (at..at + count).step_by(LINE) {
                // SAFETY: there are as many words. It is volatile to be read though nobody asks what is there.
                unsafe { self.first.weights.add(i).read_volatile() };
            }
        }
    }

    /// Four rows from `first` on, the last one for those that are not there.
    #[inline(always)]
    pub(super) fn four(&self, first: usize) -> [Row; 4] {
        [0, 1, 2, 3].map(|i: usize| {
            let i = (first + i).min(self.count - 1);
            let Row { weights, scales } = self.first;
            // SAFETY: there are as many rows.
            unsafe { Row { weights: weights.add(i * self.words), scales: scales.add(i * self.scales) } }
        })
    }

    /// The first row, which is taken off unless it is the last.
    #[inline(always)]
    unsafe fn next(&mut self) -> Row {
        let row = self.first;
        if self.count > 1 {
            self.count -= 1;
            // SAFETY: there is another row.
            unsafe { self.first = Row { weights: row.weights.add(self.words), scales: row.scales.add(self.scales) } };
        }
        row
    }
}

/// One input with four rows at a time. What is done: one.
#[inline(always)]
unsafe fn one<V: Vector, W: Weights<V>>(shape: &Shape, mut rows: Rows, input: *const u32, out: &mut [f32]) -> usize {
    let mut fours = out.chunks_exact_mut(4);
    // SAFETY: the caller's; there are as many rows as floats in `out`.
    unsafe {
        for out in &mut fours {
            let four = [rows.next(), rows.next(), rows.next(), rows.next()];
            let [[a], [b], [c], [d]] = four_by_one::<V, W>(four, [input], shape);
            out.copy_from_slice(&V::sums([a, b, c, d]));
        }
        let rest = fours.into_remainder();
        if !rest.is_empty() {
            let four = [rows.next(), rows.next(), rows.next(), rows.next()];
            let [[a], [b], [c], [d]] = four_by_one::<V, W>(four, [input], shape);
            rest.copy_from_slice(&V::sums([a, b, c, d])[..rest.len()]);
        }
    }
    1
}

/// A row or two with four inputs at a time, of which the last may be the same. How many there are.
#[inline(always)]
unsafe fn four<V: Vector, W: Weights<V>>(
    shape: &Shape,
    mut rows: Rows,
    inputs: [*const u32; 4],
    out: &mut [f32],
) -> usize {
    let height = rows.count;
    let count = (out.len() / height).min(4);
    let mut i = 0;
    // SAFETY: the caller's; there are `height` rows.
    unsafe {
        while V::PAIRS && i + 2 <= height {
            let [first, second] = two_by_four::<V, W>([rows.next(), rows.next()], inputs, shape);
            let (first, second) = (V::sums(first), V::sums(second));
            for t in 0..count {
                out[t * height + i] = first[t];
                out[t * height + i + 1] = second[t];
            }
            i += 2;
        }
        while i < height {
            let [sums] = one_by_four::<V, W>([rows.next()], inputs, shape);
            for (t, sum) in V::sums(sums).iter().enumerate().take(count) {
                out[t * height + i] = *sum;
            }
            i += 1;
        }
    }
    count
}

/// Sums, yet in lanes, of some rows with some inputs; every unit of a row is unpacked once. Written out for each, as loops
/// over vectors in arrays keep them in memory.
macro_rules! tile {
    ($name:ident, $rows:literal rows ($($r:tt)*), $inputs:literal inputs $t:tt) => {
        #[inline(always)]
        unsafe fn $name<V: Vector, W: Weights<V>>(
            rows: [Row; $rows],
            inputs: [*const u32; $inputs],
            shape: &Shape,
        ) -> [[V::F; $inputs]; $rows] {
            let mut sums = [[V::splat(0.0); $inputs]; $rows];
            // SAFETY: a row has that many units, and so have inputs.
            unsafe {
                for u in 0..shape.units {
                    let (weights, scales, at) = (u * W::WORDS, W::scale_offset(u), u * W::INPUT);
                    $(
                        let unit = W::unit(rows[$r].weights.add(weights), rows[$r].scales.add(scales));
                        tile!(@add V W sums[$r], unit, inputs, at, $t);
                    )*
                }
                if let Some(rest) = shape.rest {
                    $(
                        let unit = last::<V, W>(&rows[$r], shape.units, rest);
                        tile!(@add V W sums[$r], unit, inputs, shape.units * W::INPUT, $t);
                    )*
                }
            }
            sums
        }
    };
    (@add $v:ident $w:ident $sums:expr, $unit:ident, $inputs:ident, $at:expr, ($($t:tt)*)) => {
        $($sums[$t] = $w::add($sums[$t], &$unit, $inputs[$t].add($at));)*
    };
}

tile!(four_by_one, 4 rows (0 1 2 3), 1 inputs (0));
tile!(one_by_four, 1 rows (0), 4 inputs (0 1 2 3));
tile!(two_by_four, 2 rows (0 1), 4 inputs (0 1 2 3));

/// What is left of a row behind its whole units, filled up with zeros: nothing behind it is read.
#[inline(always)]
unsafe fn last<V: Vector, W: Weights<V>>(row: &Row, u: usize, (words, scales): (usize, usize)) -> W::Unit {
    let (mut last, mut last_scales) = ([0u32; 32], [0u8; 64]);
    // SAFETY: a row has as much, and a unit is at most 32 words and 64 bytes.
    unsafe {
        core::ptr::copy_nonoverlapping(row.weights.add(u * W::WORDS), last.as_mut_ptr(), words);
        core::ptr::copy_nonoverlapping(row.scales.add(W::scale_offset(u)), last_scales.as_mut_ptr(), scales);
        W::unit(last.as_ptr(), last_scales.as_ptr())
    }
}
