//! Llama 2 and 3 (Meta 2024), dense: grouped-query attention, one gated feed-forward a layer.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, layers};
use crate::model::grouped::{Defaults, grouped};
use crate::model::{Attention, Ffn, Gqa, LayerSpec, ModelSpec};

/// What the attention is where a configuration does not say.
const DEFAULTS: Defaults = Defaults { multi_head: true, ..Defaults::USUAL };

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    config.off("mlp_bias", "feed-forwards have no biases")?;
    let (gqa, rope) = grouped(config, &DEFAULTS)?;
    let bias = config.flag("attention_bias", false)?;
    let attention = Attention::Gqa(Gqa { bias, o_bias: bias, ..gqa });
    let ffn = Ffn::Dense(config.size("intermediate_size", limit::WIDTH)?);
    let mut spec = common(config, "llama", rope)?;
    spec.layers = vec![LayerSpec { attention, ffn }; layers(config, 1)?];
    Ok(spec)
}
