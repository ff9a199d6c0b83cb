//! What lasts from play to play: state, rotary table, and the keys and values of every layer.

use crate::device::{Buffer, Device};
use crate::error::Result;
use crate::format::Format;
use crate::kernel::State;
use crate::model::{Attention, LayerSpec, ModelSpec};

/// Shared by all plans of a session.
pub struct Cache {
    /// [`State`].
    pub state: Buffer,
    /// Rotary table.
    pub rope: Buffer,
    /// Keys and values of each layer; for latent attention both are the one latent buffer, for a convolution its ring.
    pub layers: Vec<(Buffer, Buffer)>,
    /// Positions it holds.
    pub context: usize,
    /// What keys and values are: f32, or f16, which takes half the memory and loses less than any weight format.
    pub format: Format,
    /// Most positions that may be taken back; more, and it must be filled from the start.
    pub rewind: usize,
}

impl Cache {
    /// Positions that a convolution's ring holds: a chunk of a prompt, and as many again that a conversation may be taken back by.
    pub(crate) const RING: usize = 256;

    /// Positions that may be written after the last that a session keeps, at most: chunks of a prompt that was stopped, and tokens
    /// in flight.
    pub const AHEAD: usize = 136;

    /// An empty cache of `context` positions; in f16 only where all widths are whole quads.
    pub fn new(device: &dyn Device, spec: &ModelSpec, context: usize, format: Format) -> Result<Self> {
        let format = if format == Format::F16 && spec.layers.iter().all(quads) { format } else { Format::F32 };
        let size = if format == Format::F16 { 2 } else { 4 };
        let floats = |label: &str, n: usize| device.buffer(label, size * n as u64);
        let mut rewind = usize::MAX;
        let mut layers = Vec::with_capacity(spec.layers.len());
        for (i, layer) in spec.layers.iter().enumerate() {
            layers.push(match &layer.attention {
                Attention::Gqa(gqa) => {
                    let width = context * gqa.kv_heads * gqa.head;
                    (floats(&format!("layers.{i}.keys"), width)?, floats(&format!("layers.{i}.values"), width)?)
                }
                Attention::Mla(m) => {
                    let latent = floats(&format!("layers.{i}.latent"), context * (m.rank + m.rope))?;
                    (latent.clone(), latent)
                }
                Attention::Conv(conv) => {
                    rewind = Cache::RING - Cache::AHEAD - conv.taps;
                    let ring = device.buffer(&format!("layers.{i}.ring"), 4 * (Cache::RING * spec.hidden) as u64)?;
                    (ring.clone(), ring)
                }
            });
        }
        let table = crate::model::rope_table(&spec.rope, context);
        let rope = device.buffer("rope", 4 * table.len() as u64)?;
        device.write(&rope, 0, bytemuck::cast_slice(&table))?;
        let state = Cache::new_state(device)?;
        Ok(Cache { state, rope, layers, context, format, rewind })
    }

    /// Room for a [`State`].
    pub(crate) fn new_state(device: &dyn Device) -> Result<Buffer> {
        device.buffer("state", size_of::<State>() as u64)
    }

    /// Says what is played next, and into `last` what its last token is.
    pub fn begin(&self, device: &dyn Device, state: State, last: Option<&Buffer>) -> Result<()> {
        device.write(&self.state, 0, bytemuck::bytes_of(&state))?;
        let Some(last) = last else { return Ok(()) };
        let state = State { position: state.position + state.tokens - 1, tokens: 1, ..state };
        device.write(last, 0, bytemuck::bytes_of(&state))
    }
}

/// Whether what a layer caches is in whole quads.
fn quads(layer: &LayerSpec) -> bool {
    match &layer.attention {
        Attention::Gqa(g) => g.head.is_multiple_of(4),
        Attention::Mla(m) => (m.rank | m.rope).is_multiple_of(4),
        // Rings are f32 always.
        Attention::Conv(_) => true,
    }
}
