//! Fast kernels of the CPU: what a kernel does, for vectors of any instruction set; each beside its scalar twin, the truth.
//!
//! A kernel here is plain code over a [`Path`], a table of few operations that are compiled for each instruction set. It does a
//! part of the work, so that as many threads as there are parts may do it at once.
#![allow(unsafe_code, reason = "threads write parts of one buffer")]

mod choose;
mod experts;
mod mix;
mod products;
mod stream;

pub(super) use choose::{argmax, router};
pub(super) use experts::{experts_down, experts_matmul, experts_up};
pub(super) use mix::{attention, combine, heads, mla_attention, mla_query};
pub use moebius_vectors::Path;
pub(super) use products::{matmul, matvec};
pub(super) use stream::stream;
