//! The terminal as the engine's `Host`: a clock, and Ctrl-C.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use moebius_engine::session::Host;

/// Time from the system; stops when its flag is set.
#[derive(Clone, Default)]
pub(crate) struct Terminal {
    /// Set to stop what is being generated.
    pub(crate) stop: Arc<AtomicBool>,
}

#[async_trait(?Send)]
impl Host for Terminal {
    fn now(&self) -> f64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64() * 1e3)
    }

    async fn breathe(&self) -> ControlFlow<()> {
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
