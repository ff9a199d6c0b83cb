//! A team of threads that do one job at a time in parts: a ticket says what is left to begin, a count what is done, and there is
//! no lock.
//!
//! The first thread does what no other has begun, so that it never waits for one that the system has not let run.
#![allow(unsafe_code, reason = "a job is lent to threads that outlive it, and has them all give it back")]

use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

use super::Scratch;
use super::alone::Alone;
use super::wait::{Parked, Rest, SPINS, turn};

/// Most threads of a team: a ticket has 16 bits for each number.
const MOST: usize = 1 << 12;

/// A part of a job other than the first.
pub(super) type Job<'a> = dyn Fn(usize, &mut Scratch) + Sync + 'a;

/// What begins a job, on a cache line of its own: whoever is done with a part does not disturb those who look for the next.
#[derive(Default)]
#[repr(align(128))]
struct Start {
    /// From the top: the job's number, 32 bits; its parts, 16; the next one that nobody has begun, 16.
    ticket: AtomicU64,
    /// Jobs begun, which sleepers look at.
    begun: AtomicU32,
    job: UnsafeCell<Option<*const Job<'static>>>,
}

/// What ends it.
#[derive(Default)]
#[repr(align(128))]
struct End {
    /// Parts that other threads than the first are done with.
    done: AtomicU32,
    /// One of them ended in a panic.
    failed: AtomicBool,
    /// Threads that have to be woken.
    asleep: AtomicU32,
    /// There is no more to do.
    over: AtomicBool,
}

/// What the threads of a team share.
pub struct Hall {
    start: Start,
    end: End,
    rest: Box<dyn Rest>,
    /// The others may sleep: the first thread is to do it all.
    calm: AtomicBool,
}

// SAFETY: all but the job are atomics. The job is written while no part of one is begun or can be, and read by who has begun one.
unsafe impl Send for Hall {}
// SAFETY: the same.
unsafe impl Sync for Hall {}

impl Hall {
    /// For threads that rest so.
    #[must_use]
    pub fn new(rest: Box<dyn Rest>) -> Self {
        Hall { start: Start::default(), end: End::default(), rest, calm: AtomicBool::new(false) }
    }

    /// Has the first thread do all that comes (`true`), or the team.
    pub fn calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
    }

    /// Does parts of jobs until the team ends.
    pub fn work(&self) {
        self.rest.join();
        let mut scratch = Scratch::default();
        let mut seen = 0;
        while !self.end.over.load(Ordering::Relaxed) {
            while let Some((part, job)) = self.claim() {
                // SAFETY: whoever lent it waits until this part is done.
                let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { (*job)(part, &mut scratch) }));
                self.finish(outcome.is_err());
            }
            seen = self.next(seen);
        }
    }

    /// Says that a part is done; `failed` where it could not be.
    pub fn finish(&self, failed: bool) {
        if failed {
            self.end.failed.store(true, Ordering::Relaxed);
        }
        self.end.done.fetch_add(1, Ordering::Release);
    }

    /// A part that nobody has begun, and its job, which is lent until the part is done.
    fn claim(&self) -> Option<(usize, *const Job<'static>)> {
        let mut ticket = self.start.ticket.load(Ordering::Relaxed);
        loop {
            let (parts, next) = (ticket >> 16 & 0xFFFF, ticket & 0xFFFF);
            if next >= parts {
                return None;
            }
            match self.start.ticket.compare_exchange_weak(ticket, ticket + 1, Ordering::Acquire, Ordering::Relaxed) {
                // SAFETY: it is that of the ticket, and stays until this part is done.
                Ok(_) => return Some((next as usize, unsafe { *self.start.job.get() }?)),
                Err(other) => ticket = other,
            }
        }
    }

    /// Waits until more jobs were begun than `seen`; how many.
    fn next(&self, seen: u32) -> u32 {
        for _ in 0..SPINS {
            let begun = self.start.begun.load(Ordering::Acquire);
            if begun != seen {
                return begun;
            }
            turn();
        }
        // Either the first thread sees that this one is asleep, or this one sees the job: all four are in one order.
        self.end.asleep.fetch_add(1, Ordering::SeqCst);
        let begun = loop {
            let begun = self.start.begun.load(Ordering::SeqCst);
            if begun != seen {
                break begun;
            }
            self.rest.sleep(&self.start.begun, seen);
        };
        self.end.asleep.fetch_sub(1, Ordering::SeqCst);
        begun
    }

    /// Tells of a new job.
    fn call(&self) {
        self.start.begun.fetch_add(1, Ordering::SeqCst);
        if self.end.asleep.load(Ordering::SeqCst) > 0 {
            self.rest.wake(&self.start.begun);
        }
    }
}

/// The first thread's end of a team.
pub(super) struct Team {
    hall: Arc<Hall>,
    /// Threads with the first.
    parts: usize,
    /// The others, which end with the team.
    threads: Vec<JoinHandle<()>>,
    alone: Alone,
    /// When it was last looked at the clock.
    seen: f64,
}

impl Team {
    /// A team of as many threads, or as many as the system gives.
    pub(super) fn start(parts: usize) -> Self {
        let mut team = Team::hired(Arc::new(Hall::new(Box::new(Parked::new()))), parts);
        let spawn = |i: usize| {
            let hall = Arc::clone(&team.hall);
            Builder::new().name(format!("moebius {i}")).spawn(move || hall.work()).ok()
        };
        team.threads = (1..team.parts).map_while(spawn).collect();
        team.parts = 1 + team.threads.len();
        team
    }

    /// A team whose other threads somebody else started: they do [`Hall::work`].
    pub(super) fn hired(hall: Arc<Hall>, parts: usize) -> Self {
        let seen = hall.rest.now();
        Team { hall, parts: parts.clamp(1, MOST), threads: Vec::new(), alone: Alone::default(), seen }
    }

    /// Looks at the clock. A browser takes a quarter of a microsecond for it: jobs that are short are not each worth it.
    pub(super) fn look(&mut self) {
        self.seen = self.hall.rest.now();
    }

    /// Threads of the team, the first included.
    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    /// Parts that the next job is to have.
    pub(super) fn wanted(&mut self) -> usize {
        if self.alone.at(self.seen) {
            self.look();
        }
        if self.hall.calm.load(Ordering::Relaxed) || self.alone.at(self.seen) { 1 } else { self.parts }
    }

    /// Has the first of `parts` done as `own`, here, and the others as `job`, here and elsewhere; returns when all is done. It counts as
    /// begun when it was last looked at the clock.
    pub(super) fn run(&mut self, parts: usize, scratch: &mut Scratch, own: impl FnOnce(&mut Scratch), job: &Job<'_>) {
        if parts == 1 {
            return own(scratch);
        }
        let Hall { start, end, .. } = &*self.hall;
        end.done.store(0, Ordering::Relaxed);
        // SAFETY: no part of the last job is left to begin or running. The job is lent no longer than `lent` lives.
        unsafe { *start.job.get() = Some(std::mem::transmute::<*const Job<'_>, *const Job<'static>>(job)) };
        let number = u64::from(start.begun.load(Ordering::Relaxed)) << 32;
        start.ticket.store(number | (parts.min(MOST) as u64) << 16 | 1, Ordering::Release);
        self.hall.call();
        let lent = Lent { hall: &self.hall, own: Cell::new(1) };
        own(scratch);
        while let Some((part, _)) = self.hall.claim() {
            lent.own.set(lent.own.get() + 1);
            job(part, scratch);
        }
        let waited = lent.wait();
        drop(lent);
        let begin = self.seen;
        let (own, all) = waited.unwrap_or((begin, begin));
        self.seen = all;
        self.alone.judge(begin, own, all);
        assert!(!end.failed.swap(false, Ordering::Relaxed), "a thread of the CPU's team failed");
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.hall.end.over.store(true, Ordering::Relaxed);
        self.hall.call();
        for thread in self.threads.drain(..) {
            // It caught every panic of a part.
            drop(thread.join());
        }
    }
}

/// A job that others have. When it is dropped, also where the first thread panics, no part can be begun any more, and those that
/// were are waited for.
struct Lent<'a> {
    hall: &'a Hall,
    /// Parts that the first thread began.
    own: Cell<u32>,
}

impl Lent<'_> {
    /// Waits for the parts that others have begun. If that was not short: since when, and until when.
    fn wait(&self) -> Option<(f64, f64)> {
        let Hall { start, end, rest, .. } = self.hall;
        // No parts, and as many begun as there were.
        let begun = start.ticket.fetch_and(!0xFFFF_0000, Ordering::Relaxed) as u32 & 0xFFFF;
        let done = || end.done.load(Ordering::Acquire) >= begun - self.own.get();
        for _ in 0..SPINS {
            if done() {
                return None;
            }
            turn();
        }
        let since = rest.now();
        while !done() {
            rest.pause();
        }
        Some((since, rest.now()))
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "a test that has threads fall asleep")]
    fn wait() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }

    /// Every part of every job is done once, whether threads spin or sleep in between.
    #[test]
    fn every_part_is_done_once() {
        let jobs = if cfg!(miri) { 20 } else { 2000 };
        for parts in 1..=3 {
            let mut team = Team::start(parts);
            let counts: Vec<AtomicU32> = (0..parts).map(|_| AtomicU32::new(0)).collect();
            for job in 0..jobs {
                // Lent, not owned: a thread that kept it would read what is no more.
                let step = [1, job % 2];
                let add = |part: usize| {
                    counts[part].fetch_add(step[0] + step[1], Ordering::Relaxed);
                };
                team.run(parts, &mut Scratch::default(), |_| add(0), &|part, _| add(part));
                if job % (jobs / 4) == 0 {
                    wait();
                }
            }
            let counts: Vec<u32> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
            assert_eq!(counts, vec![jobs + jobs / 2; parts], "{parts} threads");
        }
    }

    #[test]
    fn a_calm_team_is_its_first_thread() {
        let mut team = Team::start(3);
        for (calm, parts) in [(true, 1), (false, 3)] {
            team.hall.calm(calm);
            assert_eq!(team.wanted(), parts);
            let done = AtomicU32::new(0);
            let add = |_: &mut Scratch| {
                done.fetch_add(1, Ordering::Relaxed);
            };
            team.run(parts, &mut Scratch::default(), add, &|_, scratch| add(scratch));
            assert_eq!(done.load(Ordering::Relaxed), parts as u32);
        }
    }

    #[test]
    fn a_panic_of_any_thread_is_one_here_and_the_team_goes_on() {
        let mut team = Team::start(3);
        let scratch = &mut Scratch::default();
        let first = std::thread::current().id();
        for own in [true, false] {
            let begun = AtomicBool::new(false);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let wait = |_: &mut Scratch| {
                    assert!(!own, "as it should");
                    while !begun.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                };
                team.run(3, scratch, wait, &|_, _| {
                    begun.store(true, Ordering::Relaxed);
                    assert!(own || std::thread::current().id() == first, "as it should");
                });
            }));
            assert!(outcome.is_err(), "the first thread's: {own}");
        }
        let done = AtomicU32::new(0);
        let add = |_: usize, _: &mut Scratch| {
            done.fetch_add(1, Ordering::Relaxed);
        };
        team.run(3, scratch, |_| (), &add);
        assert_eq!(done.load(Ordering::Relaxed), 2);
    }
}
