//! A device that binds less than it could.

use std::rc::Rc;

use async_trait::async_trait;
use moebius_engine::device::{Buffer, Device, Limits, Plan, Reading, Step};
use moebius_engine::{Error, Result};

/// A device, and the bytes of the largest buffer that it lets be made.
pub(crate) struct Narrow {
    pub(crate) device: Rc<dyn Device>,
    pub(crate) binding: u64,
}

#[async_trait(?Send)]
impl Device for Narrow {
    fn kind(&self) -> &'static str {
        self.device.kind()
    }

    fn name(&self) -> String {
        self.device.name()
    }

    fn limits(&self) -> Limits {
        Limits { binding: self.binding, ..self.device.limits() }
    }

    fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        if bytes > self.binding {
            return Err(Error::Limit { what: label.into(), value: bytes, limit: self.binding });
        }
        self.device.buffer(label, bytes)
    }

    fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) -> Result<()> {
        self.device.write(buffer, offset, data)
    }

    fn begin_read(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Reading> {
        self.device.begin_read(buffer, offset, bytes)
    }

    async fn compile_untested(&self, steps: Vec<Step>) -> Result<Plan> {
        self.device.compile_untested(steps).await
    }

    fn play(&self, plans: &[(&Plan, u32)]) -> Result<()> {
        self.device.play(plans)
    }
}
