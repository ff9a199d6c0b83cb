//! Devices: where buffers live and plans run. The scalar CPU is the truth; wgpu, and vectors where there is no GPU, the speed.

mod alone;
mod call;
mod cpu;
mod gpu;
mod plan;
mod profile;
mod simd;
mod team;
mod wait;

use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;

pub use call::Call;
pub(crate) use call::{Out, Scratch};
pub use cpu::{Args, Cpu};
pub use gpu::{Alter, Compiler, Draft, Gpu};
pub use plan::{Dim, Grid, Step};
pub use profile::Profile;
pub use simd::Simd;
pub use team::Hall;
pub use wait::Rest;

use crate::error::Result;
use crate::format::Format;

/// Memory on a device, a whole number of 32-bit words; freed when the last clone is dropped.
#[derive(Clone)]
pub struct Buffer {
    pub(crate) storage: Storage,
    bytes: u64,
}

/// The memory itself, by device.
#[derive(Clone)]
pub(crate) enum Storage {
    Cpu(cpu::Words),
    Gpu(std::rc::Rc<gpu::Memory>),
}

impl Buffer {
    /// Size in bytes, a multiple of four.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where its words are, of a CPU's.
    fn words(&self) -> Option<*const cpu::Words> {
        match &self.storage {
            Storage::Cpu(words) => Some(std::rc::Rc::as_ptr(words).cast()),
            Storage::Gpu(_) => None,
        }
    }
}

/// A list of steps prepared for a device: buffers checked, pipelines made.
pub struct Plan {
    pub(crate) prepared: Prepared,
}

/// The prepared steps, by device.
pub(crate) enum Prepared {
    Cpu(Vec<Step>),
    Gpu(gpu::Launches),
}

/// Bytes that were asked for and are yet to come. Dropping it gives them up.
pub type Reading = Pin<Box<dyn Future<Output = Result<Vec<u8>>>>>;

/// What a device grants, in bytes; a model plans its buffers inside these.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest buffer that one step can bind.
    pub binding: u64,
    /// Workgroups that keep it busy: a step of fewer is worth splitting.
    pub workgroups: u32,
    /// Tokens of a prompt that are best played at once: more share what is read of an expert, and are waited for longer.
    pub chunk: usize,
    /// Tokens that may be in flight: 1 where a play is done when it returns.
    pub ahead: usize,
    /// What keys and values are best kept in: f16 where memory is short and bytes are what a token waits for.
    pub cache: Format,
}

/// What has gone to a device and come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Submissions: each may wait for the one before.
    pub submissions: u64,
    /// Bytes read back.
    pub read: u64,
}

/// A place that holds buffers and plays plans. Operations take effect in the order of the calls. Each of them may say that
/// the device is gone: [`crate::Error::Lost`].
#[async_trait(?Send)]
pub trait Device {
    /// `"cpu"` or `"gpu"`.
    fn kind(&self) -> &'static str;

    /// What a person reads: the adapter's name, or how the CPU path runs.
    fn name(&self) -> String;

    /// What the device grants.
    fn limits(&self) -> Limits;

    /// A zeroed buffer of at least `bytes`. [`crate::Error::Limit`] above the limits, [`crate::Error::Memory`] when
    /// there is none.
    fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer>;

    /// Copies `data` into `buffer` at byte `offset`; both are multiples of four.
    fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) -> Result<()>;

    /// Asks for bytes `offset..offset + bytes` of `buffer` as they are after everything played so far, and has the device
    /// start on all of it. Both are multiples of four.
    fn begin_read(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Reading>;

    /// The same of several buffers, each with its offset and its bytes: they come one after another.
    fn begin_reads(&self, parts: &[(&Buffer, u64, u64)]) -> Result<Reading> {
        let readings = parts.iter().map(|(buffer, offset, bytes)| self.begin_read(buffer, *offset, *bytes));
        readings.collect::<Result<_>>().map(joined)
    }

    /// The same of one, and waits for them.
    async fn read(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        self.begin_read(buffer, offset, bytes)?.await
    }

    /// Prepares steps for playing. Errors that a driver reports late (a refused pipeline) are awaited here, and a kernel that
    /// is used for the first time is tested: a GPU that gives wrong results is an error.
    async fn compile(&self, steps: Vec<Step>) -> Result<Plan> {
        self.compile_untested(steps).await
    }

    /// The same without the test.
    async fn compile_untested(&self, steps: Vec<Step>) -> Result<Plan>;

    /// Told of steps that will be compiled, in the order in which they will be wanted. Says whether it makes what they need ready
    /// beside other work from now on.
    fn begin(&self, _steps: &[Step]) -> bool {
        false
    }

    /// Told how many milliseconds a launch of a long play took: what is submitted at once keeps a GPU from drawing the page.
    fn pace(&self, _launch_ms: f64) {}

    /// What has gone there and come back so far; nothing where that costs nothing.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    /// What did not pass its test and is done another way, for a person to read.
    fn fallbacks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Plays a plan once and says how many milliseconds each of its steps took by the device's own clock; `None` where it has none.
    async fn clock(&self, _plan: &Plan, _tokens: u32) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// Plays plans one after another, each with grids and loops sized for its number of tokens. Does not wait.
    fn play(&self, plans: &[(&Plan, u32)]) -> Result<()>;
}

/// What several readings bring, one after another.
fn joined(readings: Vec<Reading>) -> Reading {
    Box::pin(async move {
        let mut all = Vec::new();
        for reading in readings {
            all.extend(reading.await?);
        }
        Ok(all)
    })
}
