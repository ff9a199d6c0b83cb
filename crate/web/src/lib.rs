//! The engine in a browser: one class for a dedicated worker, over fetch or files, WebGPU or the CPU.

mod engine;
mod fault;
mod fetch;
mod files;
mod heap;
mod home;
mod origin;
mod page;
mod place;
mod threads;

pub use engine::Engine;
pub use threads::{lose, work};
