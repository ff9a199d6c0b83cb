//! `stream` in parts: plain code, since memory is what it waits for.

use crate::device::{Call, Scratch};
use crate::kernel::Stream;

/// See `kernel::stream`. Parts share the readers.
pub(in crate::kernel) fn stream(call: &Call<'_>, _: &mut Scratch) {
    let p: Stream = call.params();
    let mine = call.share(4 * p.readers as usize, 4);
    let data = &call.u32(1)[..4 * p.quads as usize];
    // SAFETY: these readers are this part's.
    let sums = unsafe { call.out(2).u32(mine.start, mine.len()) };
    sums.fill(0);
    for row in data.chunks(4 * p.readers as usize) {
        let row = &row[mine.start.min(row.len())..mine.end.min(row.len())];
        sums.iter_mut().zip(row).for_each(|(sum, word)| *sum ^= word);
    }
}
