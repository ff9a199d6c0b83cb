//! The fast CPU device: kernels' vector code where they have it, their scalar twins otherwise.

use std::cell::RefCell;

use async_trait::async_trait;

use crate::device::{Args, Buffer, Call, Cpu, Device, Limits, Plan, Prepared, Reading, Scratch, Step};
use crate::error::{Error, Result};
use crate::kernel::{Access, Path};

/// A CPU that runs kernels on one of its paths.
pub struct Simd {
    path: &'static Path,
    scratch: RefCell<Scratch>,
}

impl Simd {
    /// The device on its fastest path.
    #[must_use]
    pub fn new() -> Self {
        Simd::on(Path::all()[0])
    }

    /// The device on a path of this CPU.
    #[must_use]
    pub fn on(path: &'static Path) -> Self {
        Simd { path, scratch: RefCell::default() }
    }
}

impl Default for Simd {
    fn default() -> Self {
        Simd::new()
    }
}

#[async_trait(?Send)]
impl Device for Simd {
    fn kind(&self) -> &'static str {
        "cpu"
    }

    fn name(&self) -> String {
        format!("CPU, {}, one thread", self.path.name)
    }

    fn limits(&self) -> Limits {
        Cpu.limits()
    }

    fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        Cpu.buffer(label, bytes)
    }

    fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) -> Result<()> {
        Cpu.write(buffer, offset, data)
    }

    fn begin_read(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Reading> {
        Cpu.begin_read(buffer, offset, bytes)
    }

    async fn compile_untested(&self, steps: Vec<Step>) -> Result<Plan> {
        for step in &steps {
            let bound = |i: usize| step.bindings[i].words();
            let writes = |i: &usize| step.kernel.bindings[*i].access == Access::Write;
            let count = step.kernel.bindings.len().min(step.bindings.len());
            for i in (0..count).filter(writes) {
                if (0..count).any(|j| j != i && bound(i).is_some() && bound(i) == bound(j)) {
                    return Err(Error::Device(format!("{} writes what it also binds elsewhere", step.label)));
                }
            }
        }
        Cpu.compile_untested(steps).await
    }

    fn play(&self, plans: &[(&Plan, u32)]) -> Result<()> {
        for (plan, tokens) in plans {
            let Prepared::Cpu(steps) = &plan.prepared else {
                return Err(Error::Device("a plan of another device".into()));
            };
            for step in steps {
                let args = Args::new(step, *tokens);
                match step.kernel.fast {
                    None => (step.kernel.cpu)(&args),
                    Some(fast) => {
                        let call = Call::new(&args, self.path, 0, 1);
                        fast(&call, &mut self.scratch.borrow_mut());
                    }
                }
            }
        }
        Ok(())
    }
}
