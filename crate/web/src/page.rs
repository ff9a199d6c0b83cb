//! The worker's event loop as the engine's host: its clock, and turns for messages between tokens.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::task::{Poll, Waker};

use async_trait::async_trait;
use js_sys::Promise;
use moebius_engine::session::Host;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageChannel, Performance, WorkerGlobalScope};

/// Milliseconds that a worker goes on without a turn for others. Who stops a reply does not notice them, and a turn takes a tenth of one:
/// with one after each token, tokens of a millisecond took 1.03 times as long.
const BREATH: f64 = 8.0;

/// The worker around the engine.
pub(crate) struct Page {
    /// A message through it comes back in a task of its own, after those that wait: unlike a promise, which lets
    /// nothing else run, and unlike a timer, which browsers delay.
    channel: MessageChannel,
    clock: Performance,
    /// When others last had a turn.
    turned: Cell<f64>,
    cancelled: Cell<bool>,
    /// Who waits to be told of that.
    waiting: RefCell<Option<Waker>>,
}

impl Page {
    /// Only a worker has what this needs.
    pub(crate) fn new() -> Result<Self, JsValue> {
        let worker: WorkerGlobalScope = js_sys::global().dyn_into()?;
        let clock = worker.performance().ok_or("this worker has no clock")?;
        let (turned, cancelled, waiting) = Default::default();
        Ok(Page { channel: MessageChannel::new()?, clock, turned, cancelled, waiting })
    }

    /// Says to whatever runs that it should stop, or (`false`) that something new begins.
    pub(crate) fn cancel(&self, cancelled: bool) {
        self.cancelled.set(cancelled);
        if let Some(waker) = self.waiting.take().filter(|_| cancelled) {
            waker.wake();
        }
    }

    /// Waits until what runs should stop: for work that itself waits, for a host perhaps.
    pub(crate) async fn cancelled(&self) {
        poll_fn(|context| {
            if self.cancelled.get() {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Lets other tasks of the worker run.
    async fn turn(&self) -> Result<(), JsValue> {
        let (here, there) = (self.channel.port1(), self.channel.port2());
        let turn = Promise::new(&mut |resolve, _| here.set_onmessage(Some(&resolve)));
        there.post_message(&JsValue::NULL)?;
        JsFuture::from(turn).await.map(drop)
    }
}

#[async_trait(?Send)]
impl Host for Page {
    fn now(&self) -> f64 {
        self.clock.time_origin() + self.clock.now()
    }

    async fn breathe(&self) -> ControlFlow<()> {
        if self.clock.now() - self.turned.get() >= BREATH {
            // A worker that cannot post to itself is closing down.
            if self.turn().await.is_err() {
                return ControlFlow::Break(());
            }
            self.turned.set(self.clock.now());
        }
        if self.cancelled.get() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
