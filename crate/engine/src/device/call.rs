//! What a fast kernel is called with: a part of a step, its buffers, and working space.
#![allow(unsafe_code, reason = "parts of a call write shares of one buffer, each its own")]

use std::marker::PhantomData;
use std::ops::Range;

use crate::device::Args;
use crate::format::Format;
use crate::kernel::Path;

/// One part of a kernel call on vectors. Binding numbers are those of [`Args`].
pub struct Call<'a> {
    args: &'a Args<'a>,
    pub(crate) path: &'static Path,
    part: usize,
    parts: usize,
}

impl<'a> Call<'a> {
    /// Part `part` of `parts` of a step that writes no buffer that it also binds elsewhere.
    pub(super) fn new(args: &'a Args<'a>, path: &'static Path, part: usize, parts: usize) -> Self {
        Call { args, path, part, parts }
    }

    /// Tokens in this play.
    pub(crate) fn tokens(&self) -> usize {
        self.args.tokens()
    }

    /// Format of the weights this step reads.
    pub(crate) fn format(&self) -> Format {
        self.args.format()
    }

    /// The kernel's parameters.
    pub(crate) fn params<P: bytemuck::AnyBitPattern>(&self) -> P {
        self.args.params()
    }

    /// What the scalar twin is called with.
    pub(crate) fn args(&self) -> &'a Args<'a> {
        self.args
    }

    /// Binding `i`, which the kernel only reads, as words.
    pub(crate) fn u32(&self, i: usize) -> &'a [u32] {
        let (words, len) = self.args.span(i);
        // SAFETY: the step keeps the buffer, whose length never changes; what a step reads it does not write (`compile`).
        unsafe { std::slice::from_raw_parts(words, len) }
    }

    /// The same as floats.
    pub(crate) fn f32(&self, i: usize) -> &'a [f32] {
        bytemuck::cast_slice(self.u32(i))
    }

    /// Binding `i`, of which this part writes a share.
    pub(crate) fn out(&self, i: usize) -> Out<'a> {
        let (words, len) = self.args.span(i);
        Out { words, len, buffer: PhantomData }
    }

    /// Whether this is the first part, which does what is not worth sharing.
    pub(crate) fn first(&self) -> bool {
        self.part == 0
    }

    /// This part's share of `count` things, in multiples of `grain`.
    pub(crate) fn share(&self, count: usize, grain: usize) -> Range<usize> {
        let at = |part: usize| (count.div_ceil(grain) * part / self.parts * grain).min(count);
        at(self.part)..at(self.part + 1)
    }
}

/// A buffer that all parts of a call write.
#[derive(Clone, Copy)]
pub(crate) struct Out<'a> {
    words: *mut u32,
    len: usize,
    buffer: PhantomData<&'a mut [u32]>,
}

impl<'a> Out<'a> {
    /// `count` words from `start` on.
    ///
    /// # Safety
    /// No other slice of them may be in use, in this part or another.
    pub(crate) unsafe fn u32(&self, start: usize, count: usize) -> &'a mut [u32] {
        assert!(start <= self.len && count <= self.len - start, "{count} words from {start} on of {}", self.len);
        // SAFETY: inside the buffer, and the caller's alone.
        unsafe { std::slice::from_raw_parts_mut(self.words.add(start), count) }
    }

    /// The same as floats.
    ///
    /// # Safety
    /// The same.
    pub(crate) unsafe fn f32(&self, start: usize, count: usize) -> &'a mut [f32] {
        // SAFETY: the caller's.
        bytemuck::cast_slice_mut(unsafe { self.u32(start, count) })
    }
}

/// Working space of fast kernels, which grows to what the largest needs and stays.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Inputs as `Path::input` lays them out.
    pub(crate) inputs: Vec<u32>,
    /// A row of floats.
    pub(crate) row: Vec<f32>,
    /// Products, on their way to where they belong.
    pub(crate) products: Vec<f32>,
    /// Which inputs are multiplied.
    pub(crate) which: Vec<u32>,
}

impl Scratch {
    /// Lays out inputs of `cols` columns one after another.
    pub(crate) fn inputs<'x>(
        &mut self,
        path: &Path,
        format: Format,
        norm: Option<(&[f32], f32)>,
        all: impl ExactSizeIterator<Item = &'x [f32]>,
        cols: usize,
    ) {
        let stride = (path.input_words)(format, cols);
        if self.inputs.len() < all.len() * stride {
            self.inputs.resize(all.len() * stride, 0);
        }
        if self.row.len() < cols {
            self.row.resize(cols, 0.0);
        }
        for (x, words) in all.zip(self.inputs.chunks_exact_mut(stride)) {
            (path.input)(format, x, norm, &mut self.row[..cols], words);
        }
    }
}
