//! What a driver reports late: lost devices, errors outside every scope, and error scopes still to be read.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::{Error, Result};

/// A popped error scope: what it was around, and its answer to come.
struct Scope {
    label: String,
    answer: Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>,
}

/// What the callbacks wrote down.
#[derive(Default)]
struct Notes {
    /// Why the device is gone, for good.
    lost: Option<String>,
    /// The first error that no scope caught since it was last told.
    error: Option<String>,
}

/// Records faults and turns them into errors of the next call.
#[derive(Default)]
pub(super) struct Faults {
    notes: Arc<Mutex<Notes>>,
    scopes: RefCell<Vec<Scope>>,
}

impl Faults {
    /// Listens to `device`. Without a listener a native validation error would panic and a browser's go to the console only.
    pub(super) fn listen(&self, device: &wgpu::Device) {
        let notes = self.notes.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            lock(&notes).error.get_or_insert_with(|| e.to_string());
        }));
        let notes = self.notes.clone();
        device.set_device_lost_callback(move |reason, message| {
            lock(&notes).lost.get_or_insert_with(|| format!("lost ({reason:?}): {message}"));
        });
    }

    /// Fails if the device is lost, or if an error was recorded since the last check.
    pub(super) fn check(&self) -> Result<()> {
        let mut notes = lock(&self.notes);
        let fault = notes.lost.clone().or_else(|| notes.error.take());
        fault.map_or(Ok(()), |message| Err(Error::Device(message)))
    }

    /// Does `work` inside scopes for validation and memory. Errors known at once (natively, all) are returned; others
    /// wait for [`Faults::settle`].
    pub(super) fn scoped<T>(&self, device: &wgpu::Device, label: &str, work: impl FnOnce() -> T) -> Result<T> {
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = work();
        self.keep(label, Box::pin(validation.pop()))?;
        self.keep(label, Box::pin(memory.pop()))?;
        Ok(made)
    }

    fn keep(&self, label: &str, mut answer: Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>) -> Result<()> {
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(None) => Ok(()),
            Poll::Ready(Some(e)) => Err(scope_error(label, &e)),
            Poll::Pending => {
                self.scopes.borrow_mut().push(Scope { label: label.to_owned(), answer });
                Ok(())
            }
        }
    }

    /// Waits for all scopes and gives the first error. The device is asked too: a browser's scope that ends with the
    /// device lost says "no error".
    pub(super) async fn settle(&self) -> Result<()> {
        let scopes = std::mem::take(&mut *self.scopes.borrow_mut());
        let mut first = None;
        for Scope { label, answer } in scopes {
            if let Some(e) = answer.await {
                first.get_or_insert(scope_error(&label, &e));
            }
        }
        match first {
            Some(e) => Err(e),
            None => self.check(),
        }
    }
}

fn scope_error(label: &str, e: &wgpu::Error) -> Error {
    match e {
        wgpu::Error::OutOfMemory { .. } => Error::Device(format!("{label}: out of memory")),
        other => Error::Device(format!("{label}: {other}")),
    }
}

fn lock(notes: &Mutex<Notes>) -> std::sync::MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}
