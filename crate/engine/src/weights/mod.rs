//! Tensors in files: where each lies, its bytes as kernel planes, and its way to a device.
//!
//! Everything a file says is checked before memory is taken for it; nothing is read whole.

mod dtype;
pub mod gguf;
mod group;
mod index;
mod manifest;
mod matrix;
mod names;
mod planes;
mod precision;
mod prefix;
pub mod safetensors;
mod shard;
mod share;
mod tensors;
mod tiles;
mod upload;
mod verified;

pub use dtype::Dtype;
pub(crate) use gguf::Order;
pub(crate) use group::{Bias, Group, View};
pub(crate) use index::exists;
pub use index::{Index, Part, RecordAt, Stored};
pub use manifest::{CHUNK, Chunk, ExpertTable, File, MANIFEST, Manifest, Piece, SHARD, TensorAt, VERSION, WRITTEN};
pub use matrix::{ExpertLayout, Matrix, Slab};
pub(crate) use matrix::{Split, heights, plane_bytes, shares};
pub(crate) use names::shown;
pub(crate) use planes::{finite, row_bytes};
pub use precision::Precision;
pub use prefix::PrefixAt;
pub use shard::Sink;
pub(crate) use shard::{Entry, Writer, header};
pub use share::Share;
pub use tensors::Tensors;
pub(crate) use verified::Verified;
pub use verified::hex;
