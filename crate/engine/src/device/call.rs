//! What a fast kernel is called with: a part of a step, its buffers, and working space.
#![allow(unsafe_code, reason = "parts of a call write shares of one buffer, each its own")]

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::device::Args;
use crate::format::Format;
use crate::kernel::Path;

/// Where a buffer is, and its words.
#[derive(Clone, Copy)]
struct Span(*mut u32, usize);

/// Multiplications of a share that are worth the tenth of a microsecond that beginning it takes, and of a call that is cut into many.
const SHORT: usize = 1 << 16;
const LONG: usize = 1 << 21;

/// Words that a call's parts have in common, beside its buffers: the logits of a router, which has at most 512 experts and a gate.
pub(super) const COMMON: usize = 1 << 10;

/// Most buffers that a fast kernel binds.
const MOST: usize = 12;

/// A kernel call that is done in parts, maybe by several threads.
pub(super) struct Work<'a> {
    params: &'a [u8],
    format: Format,
    tokens: usize,
    /// From binding 1 on.
    spans: [Span; MOST],
    path: &'static Path,
    parts: usize,
    common: Span,
    marks: Marks,
}

/// What parts tell each other, on a cache line of its own: the rest of a call is read by all.
#[derive(Default)]
#[repr(align(128))]
struct Marks {
    /// How much is begun of what they take as they are done with the last.
    begun: AtomicUsize,
    /// Parts that are done with what another one goes on with.
    ended: AtomicUsize,
}

// SAFETY: what a step reads it does not write (`compile`), and of what it writes every part takes a share (`Out`).
unsafe impl Sync for Work<'_> {}

impl<'a> Work<'a> {
    /// A step that writes no buffer that it also binds elsewhere, in `parts` parts, with words for what they make together.
    pub(super) fn new(args: &Args<'a>, path: &'static Path, parts: usize, common: &'a mut [u32]) -> Self {
        let mut spans = [Span(std::ptr::null_mut(), 0); MOST];
        for (i, span) in spans.iter_mut().enumerate().take(args.bound()) {
            let (words, len) = args.span(i + 1);
            *span = Span(words, len);
        }
        Work {
            params: args.bytes(),
            format: args.format(),
            tokens: args.tokens(),
            spans,
            path,
            parts,
            common: Span(common.as_mut_ptr(), common.len()),
            marks: Marks::default(),
        }
    }

    /// Part `part`, which is not the first.
    pub(super) fn part(&self, part: usize) -> Call<'_> {
        Call { work: self, path: self.path, part, args: None }
    }

    /// The first part, which has what the scalar twin is called with.
    pub(super) fn first<'b>(&'b self, args: &'b Args<'b>) -> Call<'b> {
        Call { work: self, path: self.path, part: 0, args: Some(args) }
    }
}

/// One part of a kernel call on vectors. Binding numbers are those of [`Args`].
pub struct Call<'a> {
    work: &'a Work<'a>,
    pub(crate) path: &'static Path,
    part: usize,
    /// For the first part alone.
    args: Option<&'a Args<'a>>,
}

impl<'a> Call<'a> {
    /// Tokens in this play.
    pub(crate) fn tokens(&self) -> usize {
        self.work.tokens
    }

    /// Format of the weights this step reads.
    pub(crate) fn format(&self) -> Format {
        self.work.format
    }

    /// The kernel's parameters.
    pub(crate) fn params<P: bytemuck::AnyBitPattern>(&self) -> P {
        bytemuck::pod_read_unaligned(self.work.params)
    }

    /// Has the first part do it all, as the scalar twin does.
    pub(crate) fn twin(&self, cpu: fn(&Args<'_>)) {
        self.args.into_iter().for_each(cpu);
    }

    fn span(&self, i: usize) -> (*mut u32, usize) {
        let Span(words, len) = self.work.spans[i - 1];
        assert!(!words.is_null(), "binding {i} of a kernel that has less");
        (words, len)
    }

    /// Binding `i`, which the kernel only reads, as words.
    pub(crate) fn u32(&self, i: usize) -> &'a [u32] {
        let (words, len) = self.span(i);
        // SAFETY: the step keeps the buffer, whose length never changes; what a step reads it does not write (`compile`).
        unsafe { std::slice::from_raw_parts(words, len) }
    }

    /// The same as floats.
    pub(crate) fn f32(&self, i: usize) -> &'a [f32] {
        bytemuck::cast_slice(self.u32(i))
    }

    /// The same as 16-bit floats.
    pub(crate) fn f16(&self, i: usize) -> &'a [u16] {
        bytemuck::cast_slice(self.u32(i))
    }

    /// Binding `i`, of which this part writes a share.
    pub(crate) fn out(&self, i: usize) -> Out<'a> {
        let (words, len) = self.span(i);
        Out { words, len, buffer: PhantomData }
    }

    /// Whether this is the first part, which does what is not worth sharing.
    pub(crate) fn first(&self) -> bool {
        self.part == 0
    }

    /// Parts of this call.
    pub(crate) fn parts(&self) -> usize {
        self.work.parts
    }

    /// [`COMMON`] words that are no buffer's, of which this part writes a share.
    pub(crate) fn common(&self) -> Out<'a> {
        let Span(words, len) = self.work.common;
        Out { words, len, buffer: PhantomData }
    }

    /// Says that this part is done with its share; whether all are by now, so that it may read what they wrote. Once a call.
    pub(crate) fn done_last(&self) -> bool {
        self.work.marks.ended.fetch_add(1, Ordering::AcqRel) + 1 == self.work.parts
    }

    /// This part's share of `count` things, in multiples of `grain`.
    pub(crate) fn share(&self, count: usize, grain: usize) -> Range<usize> {
        let at = |part: usize| (count.div_ceil(grain) * part / self.work.parts * grain).min(count);
        at(self.part)..at(self.part + 1)
    }

    /// Shares of `count` things, in multiples of `grain`, for whichever part is there first; once a call. Of a prompt, where a thing is
    /// some `each` multiplications and that makes a long call, they are many, large ones and then smaller ones, so that all parts end at
    /// once though one core is slower than another, or things cost more than others: two threads read prompts 1.0 to 1.3 times as fast,
    /// as the machine let them. Otherwise there are as many as parts: what a token reads comes fastest as one stretch a thread.
    pub(crate) fn shares(&self, count: usize, grain: usize, each: usize) -> impl Iterator<Item = Range<usize>> {
        let (Work { parts, marks: Marks { begun, .. }, .. }, all) = (self.work, count.div_ceil(grain));
        let short = self.work.tokens == 1 || count.saturating_mul(each) < LONG;
        let least = if short { all.div_ceil(*parts) } else { SHORT / grain.saturating_mul(each) };
        let parts = if *parts == 1 { 1 } else { 2 * parts };
        let next = move |begun: usize| (begun + (all - begun).div_ceil(parts).max(least)).min(all);
        std::iter::from_fn(move || {
            let begin = |begun| (begun < all).then(|| next(begun));
            let first = begun.fetch_update(Ordering::Relaxed, Ordering::Relaxed, begin).ok()?;
            Some(first * grain..(next(first) * grain).min(count))
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn work(tokens: usize, parts: usize) -> Work<'static> {
        let spans = [Span(std::ptr::null_mut(), 0); MOST];
        let (params, format, path, common, marks): (&[u8], _, _, _, _) =
            (&[], Format::F32, Path::all()[0], spans[0], Marks::default());
        Work { params, format, tokens, spans, path, parts, common, marks }
    }

    /// What parts take that come by turns, in the order in which they come.
    fn taken(work: &Work<'_>, count: usize, grain: usize, each: usize) -> Vec<Range<usize>> {
        let calls: Vec<_> = (0..work.parts).map(|part| work.part(part)).collect();
        let mut parts: Vec<_> = calls.iter().map(|call| call.shares(count, grain, each)).collect();
        let mut all = Vec::new();
        loop {
            let turn: Vec<_> = parts.iter_mut().filter_map(Iterator::next).collect();
            if turn.is_empty() {
                return all;
            }
            all.extend(turn);
        }
    }

    #[test]
    fn shares_are_all_there_is_once_for_however_many_parts() {
        let long = LONG / 500;
        for (count, grain, each) in
            [(0, 16, 512), (1, 16, 512), (500, 16, 512), (500, 16, long), (96, 16, LONG), (127, 1, long)]
        {
            for (tokens, parts) in [(1, 1), (1, 2), (1, 5), (128, 1), (128, 2), (128, 3), (128, 5)] {
                let shares = taken(&work(tokens, parts), count, grain, each);
                let mut at = 0;
                for share in &shares {
                    assert_eq!(share.start, at);
                    assert!(!share.is_empty() && (share.len() % grain == 0 || share.end == count), "{share:?}");
                    at = share.end;
                }
                assert_eq!(at, count);
                // A token's, and short ones, are as many as parts at most.
                assert!(shares.len() <= parts || tokens > 1 && count * each >= LONG, "{shares:?}");
            }
        }
    }

    #[test]
    fn shares_of_a_long_call_become_small_and_one_part_has_it_all() {
        let shares = taken(&work(128, 2), 1024, 16, 1 << 14);
        assert_eq!(shares[0].len(), 256);
        assert!(shares.len() > 8 && shares.last().is_some_and(|last| last.len() == 16), "{shares:?}");
        assert_eq!(taken(&work(128, 1), 1024, 16, 1 << 14).len(), 1);
    }
}
