//! Something that others wait for the end of: a counter of guards, a future of there being none, and who is told of it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Guards that are held.
pub(super) struct Holds {
    count: Cell<usize>,
    waiting: RefCell<Vec<Waker>>,
    /// Told when the first is held, and when the last is dropped.
    tell: Box<dyn Fn(bool)>,
}

/// One of them, until it is dropped.
pub(crate) struct Hold<'a>(&'a Holds);

impl Holds {
    /// None yet.
    pub(super) fn new(tell: Box<dyn Fn(bool)>) -> Self {
        Holds { count: Cell::default(), waiting: RefCell::default(), tell }
    }

    /// One more.
    pub(super) fn hold(&self) -> Hold<'_> {
        self.count.set(self.count.get() + 1);
        if self.count.get() == 1 {
            (self.tell)(true);
        }
        Hold(self)
    }

    /// Waits until there is none.
    pub(super) async fn none(&self) {
        poll_fn(|context| {
            if self.count.get() == 0 {
                return Poll::Ready(());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        if self.0.count.get() == 0 {
            (self.0.tell)(false);
            self.0.waiting.take().into_iter().for_each(Waker::wake);
        }
    }
}
