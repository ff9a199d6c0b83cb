//! How threads wait for each other: for some microseconds awake, then asleep.

#[cfg(target_arch = "wasm32")]
use std::hint::black_box;
#[cfg(not(target_arch = "wasm32"))]
use std::hint::spin_loop;
use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Instant;

/// Turns of a loop that looks at an atomic, which take some 40 microseconds: about as long as it takes to wake a thread. What lies between
/// two tokens in a browser takes longer, which it is worth to be awake for.
pub(super) const SPINS: u32 = if cfg!(target_arch = "wasm32") { 6_000 } else { 2_000 };

/// A turn of such a loop, which leaves the core to its other thread. WebAssembly has no instruction for that: divisions that wait for each
/// other take as long, and next to nothing of what a core can do at once.
pub(super) fn turn() {
    #[cfg(target_arch = "wasm32")]
    {
        let mut x = black_box(1.5f64);
        for _ in 0..4 {
            x = 1.0 / x;
        }
        black_box(x);
    }
    #[cfg(not(target_arch = "wasm32"))]
    spin_loop();
}

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

    /// Milliseconds since whenever.
    fn now(&self) -> f64;
}

/// Threads of the system. The lock is for those who join and for who wakes sleepers: a rare thing.
pub(super) struct Parked {
    threads: Mutex<Vec<Thread>>,
    start: Instant,
}

impl Parked {
    #[allow(clippy::disallowed_methods, reason = "where there are threads of the system there is a clock")]
    pub(super) fn new() -> Self {
        Parked { threads: Mutex::default(), start: Instant::now() }
    }
}

impl Rest for Parked {
    fn join(&self) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread::current());
    }

    fn sleep(&self, _: &AtomicU32, _: u32) {
        // Whoever was woken before it slept does not.
        thread::park();
    }

    fn wake(&self, _: &AtomicU32) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(Thread::unpark);
    }

    fn pause(&self) {
        thread::yield_now();
    }

    fn now(&self) -> f64 {
        self.start.elapsed().as_secs_f64() * 1e3
    }
}
