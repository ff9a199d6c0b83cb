//! The heap behind a lock: the standard library that comes built for WebAssembly takes it that there is one thread.
#![allow(unsafe_code, reason = "an allocator is")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's allocator, for one thread at a time. Threads of the CPU path come here when a kernel's working space grows, and for
/// nothing else: whoever waits waits shortly.
struct Heap(AtomicBool);

#[global_allocator]
static HEAP: Heap = Heap(AtomicBool::new(false));

impl Heap {
    fn locked<T>(&self, act: impl FnOnce() -> T) -> T {
        while self.0.swap(true, Ordering::Acquire) {
            spin_loop();
        }
        let made = act();
        self.0.store(false, Ordering::Release);
        made
    }
}

// SAFETY: the system's, whose calls follow one another.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        self.locked(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        self.locked(|| unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        self.locked(|| unsafe { System.dealloc(block, layout) });
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        self.locked(|| unsafe { System.realloc(block, layout, size) })
    }
}
