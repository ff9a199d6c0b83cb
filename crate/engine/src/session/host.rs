//! What the engine asks of the program around it while it generates: the time, and room for other work.

use std::ops::ControlFlow;

use async_trait::async_trait;

/// The program around the engine. The engine has neither a clock nor an event loop of its own.
#[async_trait(?Send)]
pub trait Host {
    /// Milliseconds since the Unix epoch, with as fine a fraction as there is.
    fn now(&self) -> f64;

    /// Called between tokens and between chunks of a prompt: lets other work run (messages to a worker, Ctrl-C), then
    /// says whether to go on.
    async fn breathe(&self) -> ControlFlow<()>;
}
