//! The engine in a browser: one class for a dedicated worker, over fetch, WebGPU or the CPU.

mod engine;
mod fault;
mod fetch;
mod home;
mod page;
mod place;

pub use engine::Engine;
