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
    /// Bytes of memory that are taken there.
    bytes: Option<u64>,
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

/// Records faults of a device and turns them into errors of the next call.
pub(super) struct Faults {
    device: wgpu::Device,
    notes: Arc<Mutex<Notes>>,
    scopes: RefCell<Vec<Scope>>,
}

impl Faults {
    /// Listens to `device`. Without a listener a native validation error would panic and a browser's go to the console only.
    pub(super) fn of(device: wgpu::Device) -> Self {
        let notes: Arc<Mutex<Notes>> = Arc::default();
        let heard = notes.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            lock(&heard).error.get_or_insert_with(|| e.to_string());
        }));
        let heard = notes.clone();
        device.set_device_lost_callback(move |reason, message| {
            let said = Some(message).filter(|m| !m.is_empty());
            lock(&heard).lost.get_or_insert_with(|| said.unwrap_or_else(|| format!("{reason:?}").to_lowercase()));
        });
        Faults { device, notes, scopes: RefCell::default() }
    }

    /// Fails if the device is lost, or if an error was recorded since the last check.
    pub(super) fn check(&self) -> Result<()> {
        self.here()?;
        let error = lock(&self.notes).error.take();
        error.map_or(Ok(()), |message| Err(self.blame(Error::Device(message))))
    }

    /// Fails if the device is known to be lost.
    pub(super) fn here(&self) -> Result<()> {
        lock(&self.notes).lost.clone().map_or(Ok(()), |message| Err(Error::Lost(message)))
    }

    /// The device is lost, if for no better reason than this one.
    pub(super) fn lose(&self, reason: String) -> Error {
        Error::Lost(lock(&self.notes).lost.get_or_insert(reason).clone())
    }

    /// What to tell of an error: of a lost device that it is lost. Natively one that was given up says so when its work is done.
    pub(super) fn blame(&self, error: Error) -> Error {
        let told = self.here().and_then(|()| {
            // An answer that does not come is no reason to hide the error.
            drop(self.device.poll(wgpu::PollType::wait_indefinitely()));
            self.here()
        });
        told.err().unwrap_or(error)
    }

    /// Does `work` inside scopes for validation and memory. Errors known at once (natively, all) are returned; others
    /// wait for [`Faults::settle`].
    pub(super) fn scoped<T>(&self, label: &str, work: impl FnOnce() -> T) -> Result<T> {
        self.scope(label, None, work)
    }

    /// The same of work that takes memory.
    pub(super) fn taken<T>(&self, label: &str, bytes: u64, work: impl FnOnce() -> T) -> Result<T> {
        self.scope(label, Some(bytes), work)
    }

    fn scope<T>(&self, label: &str, bytes: Option<u64>, work: impl FnOnce() -> T) -> Result<T> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = work();
        let answers: [Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>; 2] =
            [Box::pin(validation.pop()), Box::pin(memory.pop())];
        for mut answer in answers {
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(None) => {}
                Poll::Ready(Some(e)) => return Err(self.blame(scope_error(label, bytes, &e))),
                Poll::Pending => self.scopes.borrow_mut().push(Scope { label: label.to_owned(), bytes, answer }),
            }
        }
        Ok(made)
    }

    /// Waits for all scopes and gives the first error. The device is asked too: a browser's scope that ends with the
    /// device lost says "no error".
    pub(super) async fn settle(&self) -> Result<()> {
        let scopes = std::mem::take(&mut *self.scopes.borrow_mut());
        let mut first = None;
        for Scope { label, bytes, answer } in scopes {
            if let Some(e) = answer.await {
                first.get_or_insert(scope_error(&label, bytes, &e));
            }
        }
        match first {
            Some(e) => Err(self.blame(e)),
            None => self.check(),
        }
    }
}

fn scope_error(label: &str, bytes: Option<u64>, e: &wgpu::Error) -> Error {
    match (e, bytes) {
        (wgpu::Error::OutOfMemory { .. }, Some(bytes)) => Error::Memory { what: label.into(), bytes },
        (wgpu::Error::OutOfMemory { .. }, None) => Error::Device(format!("{label}: out of memory")),
        (other, _) => Error::Device(format!("{label}: {other}")),
    }
}

#[test]
fn an_error_of_memory_names_what_it_was_for_and_its_size() {
    let none = wgpu::Error::OutOfMemory { source: "no more".into() };
    let said = scope_error("model.embed_tokens.weight", Some(1 << 40), &none);
    assert_eq!(said, Error::Memory { what: "model.embed_tokens.weight".into(), bytes: 1 << 40 });
    assert_eq!(said.to_string(), "no memory for model.embed_tokens.weight: 1099511627776 bytes");
}

fn lock(notes: &Mutex<Notes>) -> std::sync::MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}
