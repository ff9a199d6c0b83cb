//! What lasts from play to play: state, rotary table, and the keys and values of every layer.

use crate::device::{Buffer, Device};
use crate::error::Result;
use crate::kernel;
use crate::model::{Attention, ModelSpec};

/// Shared by all plans of a session.
pub struct Cache {
    /// [`kernel::State`].
    pub state: Buffer,
    /// Rotary table.
    pub rope: Buffer,
    /// Keys and values of each layer; for latent attention both are the one latent buffer.
    pub layers: Vec<(Buffer, Buffer)>,
    /// Positions it holds.
    pub context: usize,
}

impl Cache {
    /// An empty cache of `context` positions.
    pub fn new(device: &dyn Device, spec: &ModelSpec, context: usize) -> Result<Self> {
        let floats = |label: &str, n: usize| device.buffer(label, 4 * n as u64);
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
            });
        }
        let table = crate::model::rope_table(&spec.rope, context);
        let rope = floats("rope", table.len())?;
        device.write(&rope, 0, bytemuck::cast_slice(&table))?;
        let state = device.buffer("state", size_of::<kernel::State>() as u64)?;
        Ok(Cache { state, rope, layers, context })
    }
}
