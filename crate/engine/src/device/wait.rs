//! How threads wait for each other: for some microseconds awake, then asleep.

use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};

/// Turns of a loop that looks at an atomic, which take some 40 microseconds: about as long as it takes to wake a thread. WebAssembly
/// has no instruction that says that this is such a loop, and its turns are short.
pub(super) const SPINS: u32 = if cfg!(target_arch = "wasm32") { 30_000 } else { 2_000 };

/// How the threads of a team rest.
pub trait Rest: Send + Sync {
    /// Called once by every thread that will sleep.
    fn join(&self) {}

    /// Sleeps until woken, or shorter; not at all where `word` is not `seen` any more.
    fn sleep(&self, word: &AtomicU32, seen: u32);

    /// Wakes all that sleep on `word`, which has changed.
    fn wake(&self, word: &AtomicU32);

    /// Leaves the core to others for a moment.
    fn pause(&self);
}

/// Threads of the system. The lock is for those who join and for who wakes sleepers: a rare thing.
#[derive(Default)]
pub(super) struct Parked(Mutex<Vec<Thread>>);

impl Rest for Parked {
    fn join(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(thread::current());
    }

    fn sleep(&self, _: &AtomicU32, _: u32) {
        // Whoever was woken before it slept does not.
        thread::park();
    }

    fn wake(&self, _: &AtomicU32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(Thread::unpark);
    }

    fn pause(&self) {
        thread::yield_now();
    }
}
