//! When a team's first thread does better alone: while others want the cores, so that a thread that has begun a part does not run.

/// Milliseconds of waiting for others that are nobody's fault.
const PATIENCE: f64 = 1.0;

/// Jobs that are done alone after such a wait: at first, and at most, which take a fraction of a second.
const JOBS: [u32; 2] = [512, 8192];

/// Counts the jobs that the first thread has yet to do alone.
pub(super) struct Alone {
    /// How many are left.
    left: u32,
    /// How many it will be next time.
    next: u32,
    /// Jobs of the team since.
    since: u32,
}

impl Default for Alone {
    fn default() -> Self {
        Alone { left: 0, next: JOBS[0], since: 0 }
    }
}

impl Alone {
    /// Whether the next job is one of them.
    pub(super) fn next(&mut self) -> bool {
        let alone = self.left > 0;
        self.left = self.left.saturating_sub(1);
        alone
    }

    /// Told what a job of the team took: the first thread's own parts, and how long it then waited for the others, in milliseconds. Parts
    /// are of one size: who waits longer than it worked waits for a thread that does not run.
    pub(super) fn judge(&mut self, own: f64, waited: f64) {
        if waited > own + PATIENCE {
            *self = Alone { left: self.next, next: (2 * self.next).min(JOBS[1]), since: 0 };
        } else {
            self.since += 1;
            if self.since >= self.next {
                *self = Alone { next: (self.next / 2).max(JOBS[0]), ..Alone::default() };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jobs done alone until the team is tried again.
    fn alone(alone: &mut Alone) -> u32 {
        (0..).take_while(|_| alone.next()).count() as u32
    }

    #[test]
    fn one_thread_works_alone_for_longer_each_time_and_less_after_good_times() {
        let mut team = Alone::default();
        team.judge(0.02, 0.9);
        team.judge(20.0, 20.5);
        assert_eq!(alone(&mut team), 0, "no stall");
        for jobs in [512, 1024, 2048, 4096, 8192, 8192] {
            team.judge(0.02, 3.0);
            assert_eq!(alone(&mut team), jobs);
        }
        for _ in 0..8192 + 4096 {
            team.judge(0.02, 0.01);
        }
        team.judge(0.02, 3.0);
        assert_eq!(alone(&mut team), 2048);
    }
}
