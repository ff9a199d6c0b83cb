//! Qwen3 (Qwen Team 2025), dense: grouped-query attention with normed heads, one gated feed-forward a layer.

use crate::error::Result;
use crate::model::config::Config;
use crate::model::grouped::{Defaults, grouped};
use crate::model::{ModelSpec, QkNorm, qwen2};

/// What Qwen3's attention is where a configuration does not say.
const DEFAULTS: Defaults = Defaults { head: Some(128), qk_norm: QkNorm::Head, ..Defaults::USUAL };

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    config.off("attention_bias", "attention has no biases")?;
    let (gqa, rope) = grouped(config, &DEFAULTS)?;
    qwen2::dense(config, "qwen3", gqa, rope)
}
