//! The CPU device: runs each kernel's scalar twin in order. It is the reference for every other path.

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;

use async_trait::async_trait;

use crate::device::{Buffer, Device, Limits, Plan, Prepared, Reading, Step, Storage};
use crate::error::{Error, Result};
use crate::format::Format;

/// Words of a CPU buffer.
pub(crate) type Words = Rc<RefCell<Vec<u32>>>;

/// The scalar CPU device.
#[derive(Default)]
pub struct Cpu;

/// Arguments of one kernel call on the CPU. Binding numbers are those of the shader: parameters 0, buffers from 1.
pub struct Args<'a> {
    step: &'a Step,
    tokens: u32,
}

impl<'a> Args<'a> {
    /// Arguments of a step in a play of `tokens` tokens.
    pub(super) fn new(step: &'a Step, tokens: u32) -> Self {
        Args { step, tokens }
    }

    /// Where binding `i` is, and its words.
    pub(super) fn span(&self, i: usize) -> (*mut u32, usize) {
        let mut words = self.words(i).borrow_mut();
        (words.as_mut_ptr(), words.len())
    }

    /// How many buffers are bound.
    pub(super) fn bound(&self) -> usize {
        self.step.bindings.len()
    }

    /// The kernel's parameters, as bytes.
    pub(super) fn bytes(&self) -> &'a [u8] {
        &self.step.params
    }

    /// Tokens in this play.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens as usize
    }

    /// Format of the weights this step reads.
    #[must_use]
    pub fn format(&self) -> Format {
        self.step.format.unwrap_or(Format::F32)
    }

    /// The kernel's parameters.
    #[must_use]
    pub fn params<P: bytemuck::AnyBitPattern>(&self) -> P {
        bytemuck::pod_read_unaligned(&self.step.params)
    }

    /// Binding `i` as words.
    #[must_use]
    pub fn u32(&self, i: usize) -> Ref<'_, [u32]> {
        Ref::map(self.words(i).borrow(), Vec::as_slice)
    }

    /// Binding `i` as floats.
    #[must_use]
    pub fn f32(&self, i: usize) -> Ref<'_, [f32]> {
        Ref::map(self.words(i).borrow(), |w| bytemuck::cast_slice(w))
    }

    /// Binding `i` as words to write.
    #[must_use]
    pub fn u32_mut(&self, i: usize) -> RefMut<'_, [u32]> {
        RefMut::map(self.words(i).borrow_mut(), Vec::as_mut_slice)
    }

    /// Binding `i` as floats to write.
    #[must_use]
    pub fn f32_mut(&self, i: usize) -> RefMut<'_, [f32]> {
        RefMut::map(self.words(i).borrow_mut(), |w| bytemuck::cast_slice_mut(w))
    }

    fn words(&self, i: usize) -> &Words {
        match &self.step.bindings[i - 1].storage {
            Storage::Cpu(words) => words,
            Storage::Gpu(_) => unreachable!("compile refuses buffers of other devices"),
        }
    }
}

#[async_trait(?Send)]
impl Device for Cpu {
    fn kind(&self) -> &'static str {
        "cpu"
    }

    fn name(&self) -> String {
        "CPU, scalar, one thread".into()
    }

    fn limits(&self) -> Limits {
        Limits { binding: u64::from(u32::MAX), workgroups: 1, chunk: 128, ahead: 1, cache: Format::F32 }
    }

    fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        let short = || Error::Memory { what: label.into(), bytes };
        let count = usize::try_from(bytes.div_ceil(4)).map_err(|_| short())?;
        // As zeros, not filled with them: what is never written, as a context that is never full, then takes no memory.
        let words = bytemuck::try_zeroed_slice_box(count).map_err(|()| short())?.into_vec();
        Ok(Buffer { storage: Storage::Cpu(Rc::new(RefCell::new(words))), bytes: bytes.div_ceil(4) * 4 })
    }

    fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) -> Result<()> {
        let words = words(buffer)?;
        let mut words = words.borrow_mut();
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        let start = offset as usize;
        let part = start.checked_add(data.len()).and_then(|end| bytes.get_mut(start..end));
        part.ok_or_else(|| outside(offset, data.len(), buffer))?.copy_from_slice(data);
        Ok(())
    }

    fn begin_read(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Reading> {
        let words = words(buffer)?;
        let words = words.borrow();
        let all: &[u8] = bytemuck::cast_slice(&words);
        let part = all.get(offset as usize..(offset + bytes) as usize);
        let bytes = part.map(<[u8]>::to_vec).ok_or_else(|| outside(offset, bytes as usize, buffer))?;
        Ok(Box::pin(std::future::ready(Ok(bytes))))
    }

    async fn compile_untested(&self, steps: Vec<Step>) -> Result<Plan> {
        steps.iter().flat_map(|s| &s.bindings).try_for_each(|b| words(b).map(|_| ()))?;
        Ok(Plan { prepared: Prepared::Cpu(steps) })
    }

    fn play(&self, plans: &[(&Plan, u32)]) -> Result<()> {
        for (plan, tokens) in plans {
            let Prepared::Cpu(steps) = &plan.prepared else {
                return Err(Error::Device("a plan of another device".into()));
            };
            for step in steps {
                (step.kernel.cpu)(&Args::new(step, *tokens));
            }
        }
        Ok(())
    }
}

/// The words of a buffer of this device.
fn words(buffer: &Buffer) -> Result<&Words> {
    match &buffer.storage {
        Storage::Cpu(words) => Ok(words),
        Storage::Gpu(_) => Err(Error::Device("a buffer of another device".into())),
    }
}

fn outside(offset: u64, bytes: usize, buffer: &Buffer) -> Error {
    Error::Device(format!("bytes {offset} and {bytes} on, of a buffer of {}", buffer.bytes))
}
