//! The engine in a browser: one class for a dedicated worker, over a source of JavaScript's, WebGPU or the CPU.

mod engine;
mod fault;
mod heap;
mod home;
mod origin;
mod page;
mod pages;
mod place;
mod threads;

pub use engine::Engine;
pub use origin::Files;
pub use threads::{lose, work};
