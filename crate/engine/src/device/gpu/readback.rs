//! Reading back: a copy to a mappable buffer, and a future for its mapping that works with a poll or an event loop.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Gpu;
use crate::device::Reading;
use crate::error::{Error, Result};

/// Staging buffers up to this size are kept for later reads: a token's read is 16 bytes.
const KEPT: u64 = 1 << 20;

/// Staging buffers that wait for their next read.
pub(super) type Spare = Rc<RefCell<Vec<wgpu::Buffer>>>;

impl Gpu {
    /// Begins a read of pieces of buffers, of `bytes` bytes together, as they will be after all that is pending, which is
    /// submitted.
    pub(super) fn fetch(&self, pieces: &[(&wgpu::Buffer, u64, u64)], bytes: u64) -> Result<Reading> {
        let staging = self.staging(bytes)?;
        let mut pending = self.pending.borrow_mut();
        let (encoder, mut at) = (pending.encoder.get_or_insert_with(|| self.encoder()), 0);
        for (buffer, offset, bytes) in pieces {
            encoder.copy_buffer_to_buffer(buffer, *offset, &staging, at, *bytes);
            at += bytes;
        }
        drop(pending);
        let submission_index = self.flush();

        let signal = Signal::default();
        let notify = signal.clone();
        staging.map_async(wgpu::MapMode::Read, ..bytes, move |answer| notify.set(answer.is_ok()));
        let (device, faults, spare) = (self.device.clone(), self.faults.clone(), self.staging.clone());
        Ok(Box::pin(async move {
            faults.here()?;
            // Natively this blocks until the copy is done; in a browser it does nothing, and the event loop wakes the signal.
            let polled = device.poll(wgpu::PollType::Wait { submission_index, timeout: None });
            if let Err(e) = polled {
                return Err(faults.blame(Error::Device(format!("waiting for a read: {e}"))));
            }
            let mapped = signal.await;
            faults.settle().await?;
            if !mapped {
                // There was no error, so it is not the read that was wrong. That the device is lost may be told later than this.
                return Err(faults.lose(format!("a read of {bytes} bytes was refused")));
            }
            let data = {
                let view = staging.get_mapped_range(..bytes).map_err(|e| Error::Device(format!("a read: {e}")))?;
                view.to_vec()
            };
            staging.unmap();
            if staging.size() <= KEPT {
                spare.borrow_mut().push(staging);
            } else {
                staging.destroy();
            }
            Ok(data)
        }))
    }

    /// A staging buffer of at least `bytes`: a spare one, or new.
    fn staging(&self, bytes: u64) -> Result<wgpu::Buffer> {
        let mut spare = self.staging.borrow_mut();
        if let Some(fit) = spare.iter().position(|b| b.size() >= bytes) {
            return Ok(spare.swap_remove(fit));
        }
        let size = bytes.next_power_of_two().max(16);
        self.faults.taken("staging", size, || {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("staging"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })
    }
}

/// A flag set by a callback and awaited by a task.
#[derive(Clone, Default)]
struct Signal(Arc<Mutex<(Option<bool>, Option<Waker>)>>);

impl Signal {
    fn set(&self, value: bool) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 = Some(value);
        if let Some(waker) = inner.1.take() {
            waker.wake();
        }
    }
}

impl Future for Signal {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1 = Some(context.waker().clone());
        inner.0.map_or(Poll::Pending, Poll::Ready)
    }
}
