//! Large blocks on pages of their own: those that are given back lie in a list by address, where neighbours become one.
#![allow(unsafe_code, reason = "an allocator is")]

use std::ptr::null_mut;

/// Blocks begin at multiples of this, and have whole ones of it.
pub(crate) const GRAIN: usize = 4096;
/// Bytes of a page, as memory grows.
pub(crate) const PAGE: usize = 65_536;

/// What is free, by address.
pub(crate) struct Pages {
    first: *mut Gap,
}

/// A free stretch of memory, which says so at its start.
struct Gap {
    bytes: usize,
    next: *mut Gap,
}

impl Pages {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Pages { first: null_mut() }
    }

    /// Bytes that a block of a size takes.
    pub(crate) fn whole(size: usize) -> usize {
        size.saturating_add(GRAIN - 1) & !(GRAIN - 1)
    }

    /// A block of `size` bytes, and whether it is zeros: one that was given back, or of what `grow` adds for a number of pages, which
    /// is zeros. Null where that is null.
    ///
    /// # Safety
    /// What `grow` gives is nobody's, begins at a multiple of [`GRAIN`], and stays where it is.
    pub(crate) unsafe fn take(&mut self, size: usize, grow: impl FnOnce(usize) -> *mut u8) -> (*mut u8, bool) {
        let wanted = Pages::whole(size);
        let mut link: *mut *mut Gap = &raw mut self.first;
        // SAFETY: gaps are whole and nobody else's; links lead from one to the next.
        unsafe {
            while let Some(gap) = (*link).as_mut() {
                if gap.bytes == wanted {
                    *link = gap.next;
                    return ((&raw mut *gap).cast(), false);
                }
                if gap.bytes > wanted {
                    // Off its end, so that it stays where it is.
                    gap.bytes -= wanted;
                    let start: *mut u8 = (&raw mut *gap).cast();
                    return (start.add(gap.bytes), false);
                }
                link = &raw mut gap.next;
            }
            let pages = wanted.div_ceil(PAGE);
            let block = grow(pages);
            if !block.is_null() && pages * PAGE > wanted {
                self.give(block.add(wanted), pages * PAGE - wanted);
            }
            (block, true)
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// It is one of [`Pages::take`] of that size, or as good as one, and nobody's any more.
    pub(crate) unsafe fn give(&mut self, block: *mut u8, size: usize) {
        let (new, bytes): (*mut Gap, usize) = (block.cast(), Pages::whole(size));
        let mut before: *mut Gap = null_mut();
        let mut link: *mut *mut Gap = &raw mut self.first;
        // SAFETY: the same; a block has room for a gap's fields, and is aligned for them.
        unsafe {
            while !(*link).is_null() && *link < new {
                before = *link;
                link = &raw mut (*before).next;
            }
            new.write(Gap { bytes, next: *link });
            *link = new;
            join(new);
            if !before.is_null() {
                join(before);
            }
        }
    }
}

/// Makes a gap and the next one, if they touch.
unsafe fn join(gap: *mut Gap) {
    // SAFETY: the caller's list is whole.
    unsafe {
        let next = (*gap).next;
        if gap.cast::<u8>().add((*gap).bytes) == next.cast() {
            (*gap).bytes += (*next).bytes;
            (*gap).next = (*next).next;
        }
    }
}

/// Blocks taken and given back at random: none overlaps another or loses what is in it, fresh ones are zeros, and all that was given
/// back becomes one stretch.
#[test]
fn blocks_are_kept_apart_and_come_together_again() {
    const ALL: usize = 512;
    let mut memory: Vec<u8> = vec![0; (ALL + 1) * PAGE];
    let start = memory.as_mut_ptr();
    // SAFETY: it is the vector's, aligned up to the grain.
    let base = unsafe { start.add(start.align_offset(GRAIN)) };
    let mut used = 0;
    let mut pages = Pages::new();
    let mut held: Vec<(*mut u8, usize, u8)> = Vec::new();
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for turn in 0..20_000 {
        if random(2) == 0 && !held.is_empty() {
            let (block, size, mark) = held.swap_remove(random(held.len()));
            // SAFETY: a block of that size, which nobody else has.
            unsafe {
                assert!(std::slice::from_raw_parts(block, size).iter().all(|byte| *byte == mark), "{turn}");
                pages.give(block, size);
            }
            continue;
        }
        let size = 1 + random(6 * PAGE);
        let mut grow = |more: usize| {
            if used + more > ALL {
                return null_mut();
            }
            used += more;
            // SAFETY: inside the vector.
            unsafe { base.add((used - more) * PAGE) }
        };
        // SAFETY: what grows is the vector's, and used once.
        let (block, zeros) = unsafe { pages.take(size, &mut grow) };
        if block.is_null() {
            continue;
        }
        assert!((block as usize).is_multiple_of(GRAIN));
        // SAFETY: a block of that size.
        let bytes = unsafe { std::slice::from_raw_parts_mut(block, size) };
        assert!(!zeros || bytes.iter().all(|byte| *byte == 0), "{turn}");
        let mark = (turn % 255) as u8 + 1;
        bytes.fill(mark);
        held.push((block, size, mark));
    }
    assert!(used > 200 && held.len() > 50, "{used} pages, {} blocks", held.len());
    for (block, size, _) in held {
        // SAFETY: the same.
        unsafe { pages.give(block, size) };
    }
    // SAFETY: there is nothing to grow.
    let (all, _) = unsafe { pages.take(used * PAGE, |_| null_mut()) };
    assert_eq!(all, base);
}
