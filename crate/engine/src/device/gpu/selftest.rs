//! The self-test: before a kernel is used for the first time, small launches of it are compared with its scalar twin. A
//! variant that needs subgroup operations and fails is replaced by the one that does not; if that fails, the GPU is refused.
//! Drivers with wrong subgroup sizes, miscompiled loops or lost stores exist, and look like a model that talks nonsense.

use super::Gpu;
use crate::device::{Buffer, Cpu, Device, Step};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::kernel::{self, Access, Kernel, Probe};

/// A kernel for weights of a format.
pub(super) type Class = (&'static str, Option<Format>);

/// Largest difference of a float from the twin's, of the largest one there: far above rounding, far below what a wrong lane,
/// row or scale makes.
const BOUND: f32 = 1e-3;

pub(super) fn class(kernel: &Kernel, format: Option<Format>) -> Class {
    (kernel.name, format.filter(|_| kernel.per_format))
}

impl Gpu {
    /// Tests what `steps` use and was not tested before.
    pub(super) async fn test(&self, steps: &[Step]) -> Result<()> {
        for Step { kernel, format, .. } in steps {
            let class = class(kernel, *format);
            if !self.tested.borrow_mut().insert(class) {
                continue;
            }
            if self.agrees(kernel, class.1).await {
                continue;
            }
            let name = class.1.map_or_else(|| kernel.name.to_owned(), |f| format!("{}.{}", kernel.name, f.name()));
            let two = self.profile.subgroups() && kernel::shader(kernel, class.1, true).is_some_and(|s| s.subgroups);
            if two {
                self.broken.borrow_mut().push(class);
                if self.agrees(kernel, class.1).await {
                    self.fallbacks.borrow_mut().push(format!("{name} without subgroup operations"));
                    continue;
                }
            }
            self.faults.check()?;
            return Err(Error::Device(format!("{name} gives wrong results on {}", self.name)));
        }
        Ok(())
    }

    /// Whether a kernel gives its twin's answers. A driver's refusal is a no.
    async fn agrees(&self, kernel: &'static Kernel, format: Option<Format>) -> bool {
        for probe in kernel::probes(kernel, format) {
            match (outputs(&Cpu, kernel, format, &probe).await, outputs(self, kernel, format, &probe).await) {
                (Ok(want), Ok(got)) if want.iter().zip(&got).all(|(want, got)| same(want, got)) => {}
                _ => return false,
            }
        }
        true
    }
}

/// What a probe leaves in the buffers that the kernel writes.
async fn outputs(
    device: &dyn Device,
    kernel: &'static Kernel,
    format: Option<Format>,
    probe: &Probe,
) -> Result<Vec<Vec<u32>>> {
    let mut bindings: Vec<Buffer> = Vec::new();
    for words in &probe.buffers {
        let buffer = device.buffer("probe", 4 * words.len() as u64)?;
        device.write(&buffer, 0, bytemuck::cast_slice(words))?;
        bindings.push(buffer);
    }
    let written = kernel.bindings.iter().zip(&bindings).filter(|(b, _)| b.access == Access::Write);
    let written: Vec<Buffer> = written.map(|(_, buffer)| buffer.clone()).collect();
    let params = probe.params.clone();
    let plan = device.compile_untested(vec![Step { label: "probe".into(), kernel, format, params, bindings }]).await?;
    device.play(&[(&plan, probe.tokens)])?;
    let mut readings = Vec::new();
    for buffer in &written {
        readings.push(device.begin_read(buffer, 0, buffer.bytes())?);
    }
    let mut outputs = Vec::new();
    for reading in readings {
        outputs.push(bytemuck::pod_collect_to_vec(&reading.await?));
    }
    Ok(outputs)
}

/// Whether words are equal, as integers or nearly as floats.
fn same(want: &[u32], got: &[u32]) -> bool {
    let largest = want.iter().map(|w| f32::from_bits(*w).abs()).filter(|v| v.is_finite()).fold(0.0, f32::max);
    let near = |want: f32, got: f32| (want - got).abs() <= BOUND * largest;
    want.len() == got.len()
        && want.iter().zip(got).all(|(w, g)| {
            // Small integers are tiny floats: they have to be equal.
            w == g
                || (f32::from_bits(*w).abs().max(f32::from_bits(*g).abs()) > f32::MIN_POSITIVE)
                    && near(f32::from_bits(*w), f32::from_bits(*g))
        })
}
