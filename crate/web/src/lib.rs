//! The engine in a browser: one class for a dedicated worker, over fetch, WebGPU or the CPU.

mod engine;
mod fault;
mod fetch;
mod heap;
mod home;
mod page;
mod place;
mod threads;

pub use engine::Engine;
pub use threads::{lose, work};
