//! A step of a plan: one kernel with its parameters and buffers.

use crate::device::Buffer;
use crate::format::Format;
use crate::kernel::Kernel;

/// One launch of a kernel. A forward pass is a list of these, built once and played for every token.
#[derive(Clone)]
pub struct Step {
    /// Where in the model it stands, for profiles and errors: `layers.3.attn.q`.
    pub label: String,
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Weight format, for kernels that read weights.
    pub format: Option<Format>,
    /// The kernel's `Params`, as bytes (uniform, binding 0).
    pub params: Vec<u8>,
    /// Buffers for the kernel's bindings 1 and up, in its order.
    pub bindings: Vec<Buffer>,
}

/// Number of workgroups in each dimension, on the GPU.
pub type Grid = [Dim; 3];

/// Workgroups in one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    /// The same for every play.
    Fixed(u32),
    /// `ceil(tokens / n)` for a play of `tokens` tokens.
    Tokens(u32),
}

impl Dim {
    /// Workgroups for a play of `tokens` tokens.
    #[must_use]
    pub fn count(self, tokens: u32) -> u32 {
        match self {
            Dim::Fixed(n) => n,
            Dim::Tokens(per) => tokens.div_ceil(per),
        }
    }
}
