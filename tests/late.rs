//! A source whose reads take a random number of turns, so that they end in any order, and that counts their bytes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::ops::Range;
use std::rc::Rc;
use std::task::Poll;

use async_trait::async_trait;
use moebius_engine::source::{Memory, Source};
use moebius_engine::{Error, Result};
use moebius_tests::Random;

/// The files of a folder in memory, late.
pub(crate) struct Late {
    files: Rc<Memory>,
    random: RefCell<Random>,
    /// Most turns that a read takes.
    turns: usize,
    /// How many reads from now on one fails.
    pub(crate) fails: Cell<Option<usize>>,
    /// What was read.
    pub(crate) log: RefCell<Vec<(String, Range<u64>)>>,
}

impl Late {
    pub(crate) fn new(files: Rc<Memory>, seed: u64, turns: usize) -> Self {
        Late { files, random: RefCell::new(Random::new(seed)), turns, fails: Cell::new(None), log: RefCell::default() }
    }

    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.log.borrow().iter().map(|(_, range)| range.end - range.start).sum()
    }
}

#[async_trait(?Send)]
impl Source for Late {
    async fn size(&self, file: &str) -> Result<u64> {
        self.files.size(file).await
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let fails = self.fails.get();
        self.fails.set(fails.and_then(|n| n.checked_sub(1)));
        if fails == Some(0) {
            return Err(Error::File { file: file.into(), reason: "the line was cut".into() });
        }
        let mut left = self.random.borrow_mut().below(self.turns + 1);
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.log.borrow_mut().push((file.into(), range.clone()));
        self.files.read(file, range).await
    }
}
