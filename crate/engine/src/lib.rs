//! Moebius' engine: from bytes of a model file to tokens, on a CPU or a GPU. No I/O, no clock, no DOM.
//!
//! The stages, each of which uses only those before it:
//! `error < source < {format, device, weights, kernel} < model < session < chat`; formats are those of `moebius_vectors`.

pub mod chat;
pub mod device;
pub mod error;
mod gather;
pub mod kernel;
pub mod model;
pub mod session;
pub mod source;
pub mod weights;

pub use error::{Error, Result};
pub use moebius_vectors::format;
