//! When a team's first thread does better alone: while others want the cores, so that a thread that has begun a part does not run.

/// Milliseconds of waiting for others that are nobody's fault.
const PATIENCE: f64 = 1.0;

/// Milliseconds of working alone after a longer wait: at first, and at most.
const ALONE: [f64; 2] = [5.0, 640.0];

/// Until when the first thread is to work alone. Times are milliseconds.
pub(super) struct Alone {
    until: f64,
    /// How long it will be next time.
    next: f64,
}

impl Default for Alone {
    fn default() -> Self {
        Alone { until: f64::NEG_INFINITY, next: ALONE[0] }
    }
}

impl Alone {
    /// Whether a job that begins now is done alone.
    pub(super) fn at(&self, now: f64) -> bool {
        now < self.until
    }

    /// Told of a job of the team: when it began, when the first thread was done with its own parts, and when all were. It has as much to do
    /// as another, or takes the more of it: who waits longer than it worked waits for a thread that does not run.
    pub(super) fn judge(&mut self, begin: f64, own: f64, end: f64) {
        if end - own > own - begin + PATIENCE {
            self.until = end + self.next;
            self.next = (2.0 * self.next).min(ALONE[1]);
        } else if end > self.until + self.next {
            // As long a good time makes up for half of it.
            self.until = end;
            self.next = (self.next / 2.0).max(ALONE[0]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_works_alone_for_longer_each_time_and_for_less_after_good_times() {
        let mut team = Alone::default();
        let mut now = 100.0;
        team.judge(now, now + 0.02, now + 0.9);
        team.judge(now, now + 20.0, now + 40.5);
        assert!(!team.at(now + 40.5), "waits that happen");
        for alone in [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 640.0] {
            team.judge(now, now + 0.02, now + 3.0);
            now += 3.0;
            assert!(team.at(now + alone - 0.1) && !team.at(now + alone), "{alone}");
            now += alone;
        }
        for _ in 0..(640 + 320 + 160 + 20) * 10 {
            team.judge(now, now + 0.05, now + 0.1);
            now += 0.1;
        }
        team.judge(now, now + 0.02, now + 3.0);
        assert!(team.at(now + 3.0 + 79.0) && !team.at(now + 3.0 + 80.0));
    }
}
