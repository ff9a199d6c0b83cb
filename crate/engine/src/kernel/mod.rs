//! Kernels: each is a WGSL shader in `shaders/` and its scalar twin here, with the same name, bindings and order.
//!
//! Binding 0 is the uniform `Params` of the twin's file; other buffers follow from 1 in the order of
//! [`Kernel::bindings`]. `T` is the number of tokens in a play, `x [T, n]` a row-major array. Kernels that need to know
//! where they are bind [`State`]. Shapes are asserted by the model that builds the plan; a wrong shape here is a bug.

mod argmax;
mod arithmetic;
mod attention;
mod attention_merge;
mod combine;
mod conv;
mod embed;
mod experts_down;
mod experts_matmul;
mod experts_sort;
mod experts_up;
mod fast;
mod heads;
mod last;
mod layer_norm;
mod matmul;
mod matvec;
mod mla_attention;
mod mla_query;
mod probe;
mod router;
mod sample;
mod shader;
mod stream;
mod topk;

use bytemuck::{Pod, Zeroable};

use crate::device::{Args, Call, Dim, Grid, Profile, Scratch};

pub use argmax::{ARGMAX, Params as Argmax};
pub use attention::{ATTENTION, Params as Attention};
pub use attention_merge::{ATTENTION_MERGE, Params as AttentionMerge};
pub use combine::{COMBINE, Params as Combine};
pub use conv::{CONV, Params as Conv};
pub use embed::{EMBED, Params as Embed};
pub use experts_down::{EXPERTS_DOWN, Params as ExpertsDown};
pub use experts_matmul::{EXPERTS_MATMUL, Params as ExpertsMatmul};
pub use experts_sort::{EXPERTS_SORT, Params as ExpertsSort};
pub use experts_up::{EXPERTS_UP, Params as ExpertsUp};
pub use fast::Path;
pub use heads::{HEADS, Params as Heads};
pub use last::{LAST, Params as Last};
pub use layer_norm::{LAYER_NORM, Params as LayerNorm};
pub use matmul::MATMUL;
pub use matvec::{MATVEC, Params as Matmul};
pub use mla_attention::MLA_ATTENTION;
pub use mla_query::{MLA_QUERY, Params as MlaQuery};
pub(crate) use probe::{Probe, probe};
pub use router::{ROUTER, routes};
pub use sample::{Params as Sample, SAMPLE, Settings};
pub use shader::{Shader, shader, shaders};
pub use stream::{Params as Stream, STREAM};
pub use topk::{Params as TopK, TOPK};

/// A kernel's contract and its scalar twin.
pub struct Kernel {
    /// Name of the shader file, without extension.
    pub name: &'static str,
    /// Whether it comes in a variant per weight [`crate::format::Format`].
    pub per_format: bool,
    /// Bindings from 1, in order.
    pub bindings: &'static [Binding],
    /// How a launch on a GPU of that profile is laid out, from the bytes of the kernel's `Params`.
    pub launch: fn(&[u8], &Profile) -> Launch,
    /// The scalar twin.
    pub cpu: fn(&Args<'_>),
    /// The same on vectors, where it is worth having.
    pub(crate) fast: Option<Fast>,
}

/// Does one part of a kernel call.
pub(crate) type Fast = fn(&Call<'_>, &mut Scratch);

/// How a kernel is launched on the GPU.
pub struct Launch {
    /// Workgroups.
    pub grid: Grid,
    /// Values of the shader's `override` constants: what is known once and would be asked of every weight.
    pub constants: Vec<(&'static str, u32)>,
    /// Whether it is for the variant with subgroup operations, where there are both.
    pub subgroups: bool,
}

impl Launch {
    /// A launch whose first dimension is `groups` groups of `lanes` neighbouring invocations, in workgroups of 64, or one a group where
    /// that is more.
    fn lanes(groups: u32, [y, z]: [Dim; 2], lanes: u32, profile: &Profile) -> Self {
        let threads = lanes.max(64);
        let grid = [Dim::Fixed((groups * lanes).div_ceil(threads)), y, z];
        let launch = Launch { grid, constants: vec![("LANES", lanes), ("THREADS", threads)], subgroups: true };
        let width = profile.most_lanes();
        if lanes > width { launch.with(vec![("WIDTH", width), ("CELLS", threads / width)]) } else { launch }
    }

    /// The same with more constants.
    fn with(mut self, constants: Vec<(&'static str, u32)>) -> Self {
        self.constants.extend(constants);
        self
    }
}

impl From<Grid> for Launch {
    fn from(grid: Grid) -> Self {
        Launch { grid, constants: Vec::new(), subgroups: true }
    }
}

/// A binding.
pub struct Binding {
    /// Name of the variable in the shader.
    pub name: &'static str,
    /// How the shader has it.
    pub access: Access,
}

/// How a shader has a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Storage that is only read.
    Read,
    /// Storage that is written.
    Write,
    /// A uniform: small, read by all, and not one of the eight storage buffers.
    Uniform,
}

/// A binding that is only read.
const fn read(name: &'static str) -> Binding {
    Binding { name, access: Access::Read }
}

/// A binding that is written.
const fn write(name: &'static str) -> Binding {
    Binding { name, access: Access::Write }
}

/// The binding of [`State`].
const STATE: Binding = Binding { name: "state", access: Access::Uniform };

/// One workgroup.
const ONE: Dim = Dim::Fixed(1);
/// A workgroup for each token.
const EACH: Dim = Dim::Tokens(1);

/// Workgroups for `count` items at `per` a workgroup.
fn by(count: u32, per: u32) -> Dim {
    Dim::Fixed(count.div_ceil(per))
}

/// What a choice leaves for the next play: a [`State`] after the last one's tokens, and the token.
fn go_on(state: &mut [u32], tokens: &mut [u32], id: u32) {
    state[0] += state[1];
    state[1] = 1;
    tokens[0] = id;
}

/// Constant of kernels whose workgroup memory has room for every expert: not for exactly so many, so that pipelines are shared.
fn room(experts: u32) -> (&'static str, u32) {
    ("EXPERTS", experts.next_multiple_of(16))
}

/// Constant of kernels that may leave out what inputs and rows that are not whole blocks, or start between quads, would need.
fn whole(cols: u32, strides: u32) -> (&'static str, u32) {
    ("WHOLE", u32::from(cols.is_multiple_of(32) && strides.is_multiple_of(4)))
}

/// Parameters from their bytes.
fn of<P: bytemuck::AnyBitPattern>(params: &[u8]) -> P {
    bytemuck::pod_read_unaligned(params)
}

/// Every kernel. Tests, benches and the shader build loop over this list.
pub static KERNELS: [&Kernel; 21] = [
    &ARGMAX,
    &ATTENTION,
    &ATTENTION_MERGE,
    &COMBINE,
    &CONV,
    &EMBED,
    &EXPERTS_DOWN,
    &EXPERTS_MATMUL,
    &EXPERTS_SORT,
    &EXPERTS_UP,
    &HEADS,
    &LAST,
    &LAYER_NORM,
    &MATMUL,
    &MATVEC,
    &MLA_ATTENTION,
    &MLA_QUERY,
    &ROUTER,
    &SAMPLE,
    &STREAM,
    &TOPK,
];

/// What changes from play to play; one small uniform that kernels read.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct State {
    /// Position of the play's first token in the context.
    pub position: u32,
    /// Tokens in the play.
    pub tokens: u32,
    /// Low half of the sampling seed.
    pub seed: u32,
    /// High half of the sampling seed.
    pub seed_high: u32,
}
