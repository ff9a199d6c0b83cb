//! The heap behind a lock: the standard library that comes built for WebAssembly takes it that there is one thread. Large blocks lie on
//! pages of their own, which come zeroed: what is never written of them, as a context that is never full, takes no memory.
#![allow(unsafe_code, reason = "an allocator is")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_arch = "wasm32")]
use crate::pages::PAGE;
use crate::pages::{GRAIN, Pages};

/// Bytes from which on a block is large.
const LARGE: usize = 1 << 16;

/// The system's allocator and that of large blocks, for one thread at a time. Threads of the CPU path come here when a kernel's working
/// space grows, and for nothing else: whoever waits waits shortly.
struct Heap {
    taken: AtomicBool,
    pages: UnsafeCell<Pages>,
}

// SAFETY: what is in it is touched by whoever has taken it.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { taken: AtomicBool::new(false), pages: UnsafeCell::new(Pages::new()) };

impl Heap {
    fn locked<T>(&self, act: impl FnOnce(&mut Pages) -> T) -> T {
        while self.taken.swap(true, Ordering::Acquire) {
            spin_loop();
        }
        // SAFETY: nobody else has taken it, and `act` does not come here.
        let made = act(unsafe { &mut *self.pages.get() });
        self.taken.store(false, Ordering::Release);
        made
    }
}

/// Whether a block is large: it is the same whenever its layout is named.
fn large(layout: Layout) -> bool {
    cfg!(target_arch = "wasm32") && layout.size() >= LARGE && layout.align() <= GRAIN
}

/// The memory as it was, and pages more; null where it may not grow.
#[cfg(target_arch = "wasm32")]
fn grow(pages: usize) -> *mut u8 {
    let before = core::arch::wasm32::memory_grow::<0>(pages);
    if before == usize::MAX { null_mut() } else { (before * PAGE) as *mut u8 }
}

/// Natively the system's is as good.
#[cfg(not(target_arch = "wasm32"))]
fn grow(_: usize) -> *mut u8 {
    null_mut()
}

// SAFETY: the system's, whose calls follow one another; large blocks are theirs to whom they were given.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if large(layout) {
            // SAFETY: memory grows by what is nobody's.
            return self.locked(|pages| unsafe { pages.take(layout.size(), grow) }).0;
        }
        // SAFETY: the caller's.
        self.locked(|_| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if large(layout) {
            // SAFETY: the same; what is not fresh is cleared.
            unsafe {
                let (block, zeros) = self.locked(|pages| pages.take(layout.size(), grow));
                if !zeros && !block.is_null() {
                    block.write_bytes(0, layout.size());
                }
                return block;
            }
        }
        // SAFETY: the caller's.
        self.locked(|_| unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's: it was made with that layout.
        self.locked(|pages| unsafe {
            if large(layout) { pages.give(block, layout.size()) } else { System.dealloc(block, layout) }
        });
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller says that it is one.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if !large(layout) && !large(new) {
            // SAFETY: the caller's.
            return self.locked(|_| unsafe { System.realloc(block, layout, size) });
        }
        if large(layout) && large(new) && Pages::whole(layout.size()) == Pages::whole(size) {
            return block;
        }
        // SAFETY: both are blocks of at least what is copied.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, size.min(layout.size()));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
