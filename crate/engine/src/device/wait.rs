//! How threads wait for each other: for some microseconds awake, then asleep.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};

/// Turns of a loop that looks at an atomic, which take some 40 microseconds: about as long as it takes to wake a thread.
pub(super) const SPINS: u32 = 2_000;

/// Threads that sleep now and then. The lock is for those who join and for who wakes sleepers: a rare thing.
#[derive(Default)]
pub(super) struct Sleepers(Mutex<Vec<Thread>>);

impl Sleepers {
    /// Takes this thread in.
    pub(super) fn join(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(thread::current());
    }

    /// Wakes all that sleep, and lets no other fall asleep once.
    pub(super) fn wake(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(Thread::unpark);
    }
}

/// Sleeps until woken, or shorter.
pub(super) fn sleep() {
    thread::park();
}

/// Leaves the core to others for a moment.
pub(super) fn pause() {
    thread::yield_now();
}
