//! A host for tests: time and breaths that are counted.

use std::cell::Cell;
use std::ops::ControlFlow;

use async_trait::async_trait;
use moebius_engine::session::Host;

/// A clock that moves a millisecond a look, and breaths that can be counted out.
pub(crate) struct Clock {
    now: Cell<f64>,
    breaths: Cell<usize>,
}

impl Clock {
    pub(crate) fn new(breaths: usize) -> Self {
        Clock { now: Cell::new(1_700_000_000_000.0), breaths: Cell::new(breaths) }
    }
}

#[async_trait(?Send)]
impl Host for Clock {
    fn now(&self) -> f64 {
        self.now.set(self.now.get() + 1.0);
        self.now.get()
    }

    async fn breathe(&self) -> ControlFlow<()> {
        let left = self.breaths.get();
        self.breaths.set(left.saturating_sub(1));
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
