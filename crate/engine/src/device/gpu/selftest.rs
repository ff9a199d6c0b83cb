//! The self-test: before a pipeline is used for the first time, a small launch of it is compared with its scalar twin. A
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
        for step in steps {
            let (mut key, _) = self.launch_of(step);
            if self.tested.borrow().contains(&key) {
                continue;
            }
            if !self.agrees(step).await {
                let class = class(step.kernel, step.format);
                let name = class.1.map_or_else(|| class.0.to_owned(), |f| format!("{}.{}", class.0, f.name()));
                let mut right = false;
                if key.subgroups {
                    self.broken.borrow_mut().push(class);
                    self.fallbacks.borrow_mut().push(format!("{name} without subgroup operations"));
                    (key, _) = self.launch_of(step);
                    right = self.agrees(step).await;
                }
                self.faults.check()?;
                if !right {
                    return Err(Error::Device(format!("{name} gives wrong results on {}", self.name)));
                }
            }
            self.tested.borrow_mut().insert(key);
        }
        Ok(())
    }

    /// Whether the pipeline of a step gives the twin's answers. A driver's refusal is a no.
    async fn agrees(&self, step: &Step) -> bool {
        let (kernel, format) = (step.kernel, step.format);
        let probe = kernel::probe(kernel, format, &step.params);
        match (outputs(&Cpu, kernel, format, &probe).await, outputs(self, kernel, format, &probe).await) {
            (Ok(want), Ok(got)) => want.iter().zip(&got).all(|(want, got)| same(want, got)),
            _ => false,
        }
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
    let written: Vec<(&str, Buffer)> = written.map(|(b, buffer)| (b.name, buffer.clone())).collect();
    let params = probe.params.clone();
    let plan = device.compile_untested(vec![Step { label: "probe".into(), kernel, format, params, bindings }]).await?;
    device.play(&[(&plan, probe.tokens)])?;
    let mut readings = Vec::new();
    for (_, buffer) in &written {
        readings.push(device.begin_read(buffer, 0, buffer.bytes())?);
    }
    let mut outputs = Vec::new();
    for ((name, _), reading) in written.iter().zip(readings) {
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&reading.await?);
        let halves = probe.half && matches!(*name, "keys" | "values" | "cache");
        outputs.push(if halves { floats(&words) } else { words });
    }
    Ok(outputs)
}

/// Words of two halves each, as words of floats.
fn floats(words: &[u32]) -> Vec<u32> {
    let mut floats = vec![0.0; 2 * words.len()];
    Format::F16.decode_row(words, &[], 0, &mut floats);
    bytemuck::cast_slice(&floats).to_vec()
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
