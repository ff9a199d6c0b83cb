//! Weight formats, and what is done with them on a CPU's vectors: products, attention, norms, for each instruction set from one text.
//!
//! It is a crate of its own for its compiler's sake: the loops here are where the time of a CPU goes, and are compiled for speed
//! also where everything else is compiled to be small. Everything works on slices; what they mean is the engine's to know.
#![allow(unsafe_code, reason = "vectors are loaded through pointers")]

mod attend;
mod cell;
pub mod format;
mod input;
mod math;
mod multiply;
mod pairs;
mod path;
#[cfg(not(target_arch = "wasm32"))]
mod plain;
mod quads;
#[cfg(test)]
mod tests;
mod vector;
#[cfg(target_arch = "wasm32")]
mod wasm;
mod weights;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use attend::{Attend, Cache};
pub use multiply::Multiply;
pub use pairs::HEIGHT;
pub use path::{Norm, Path};
