//! Qwen2 and Qwen2.5 (Qwen Team 2024), dense: biases on queries, keys and values, one gated feed-forward a layer.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, layers};
use crate::model::grouped::{Defaults, grouped, slides, window};
use crate::model::{Attention, Ffn, Gqa, LayerSpec, ModelSpec, Rope};

/// Layers before the first with a window, where a configuration does not say.
const FULL: usize = 28;

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    let (gqa, rope) = grouped(config, &Defaults::USUAL)?;
    dense(config, "qwen2", Gqa { bias: true, ..gqa }, rope)
}

/// Layers of this attention, some of them with a window, and one feed-forward each.
pub(crate) fn dense(config: &Config, family: &str, gqa: Gqa, rope: Rope) -> Result<ModelSpec> {
    let count = layers(config, 1)?;
    let window = window(config)?;
    let ffn = Ffn::Dense(config.size("intermediate_size", limit::WIDTH)?);
    let mut spec = common(config, family, rope)?;
    for slides in slides(config, count, FULL)? {
        let attention = Attention::Gqa(Gqa { window: window.filter(|_| slides), ..gqa.clone() });
        spec.layers.push(LayerSpec { attention, ffn: ffn.clone() });
    }
    Ok(spec)
}
