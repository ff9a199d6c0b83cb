//! Qwen3 (Qwen Team 2025), dense: grouped-query attention with normed heads, one gated feed-forward a layer.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, layers};
use crate::model::rope_config::rope_config;
use crate::model::{Attention, Ffn, LayerSpec, ModelSpec, Rope};

/// Size of a head where a configuration has none.
const HEAD: usize = 128;
/// Layers before the first with a window, where a configuration does not say.
const FULL: usize = 28;

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    let count = layers(config, 1)?;
    let (full, rope) = grouped(config, Some(HEAD), None)?;
    let (sliding, _) = grouped(config, Some(HEAD), window(config)?)?;
    let ffn = Ffn::Dense(config.size("intermediate_size", limit::WIDTH)?);
    let mut spec = common(config, "qwen3", rope)?;
    for slides in slides(config, count)? {
        let attention = if slides { sliding.clone() } else { full.clone() };
        spec.layers.push(LayerSpec { attention, ffn: ffn.clone() });
    }
    Ok(spec)
}

/// Attention of Qwen3's families, and its rotary embedding. Without `head_dim` a head has `head` dimensions, or a share of
/// the hidden size.
pub(crate) fn grouped(config: &Config, head: Option<usize>, window: Option<usize>) -> Result<(Attention, Rope)> {
    config.off("attention_bias", "attention has no biases")?;
    let heads = config.size("num_attention_heads", limit::HEADS)?;
    let kv_heads = config.size("num_key_value_heads", limit::HEADS)?;
    if !heads.is_multiple_of(kv_heads) {
        return Err(config.wrong("num_key_value_heads", format!("{kv_heads} do not divide {heads} query heads")));
    }
    let hidden = config.size("hidden_size", limit::HIDDEN)?;
    let absent = head.unwrap_or(hidden / heads);
    let head = if config.has("head_dim") { config.size("head_dim", limit::HEAD)? } else { absent };
    if head == 0 || !head.is_multiple_of(2) {
        return Err(config.wrong("head_dim", format!("{head} is not an even size")));
    }
    let rope = rope_config(config, head, false, 10_000.0)?.rope;
    Ok((Attention::Gqa { heads, kv_heads, head, qk_norm: true, window }, rope))
}

/// The sliding window, which counts only if `use_sliding_window` says so.
pub(crate) fn window(config: &Config) -> Result<Option<usize>> {
    if config.flag("use_sliding_window", false)? {
        return config.size("sliding_window", limit::CONTEXT).map(Some);
    }
    Ok(None)
}

/// Which layers have the window: those that `layer_types` names, or else all from `max_window_layers` on.
fn slides(config: &Config, count: usize) -> Result<Vec<bool>> {
    let types = config.texts("layer_types")?;
    if types.is_empty() {
        let full = config.count("max_window_layers", limit::LAYERS)?.unwrap_or(FULL);
        return Ok((0..count).map(|i| i >= full).collect());
    }
    if types.len() != count {
        return Err(config.wrong("layer_types", format!("{} types for {count} layers", types.len())));
    }
    let kind = |kind: &&str| match *kind {
        "full_attention" => Ok(false),
        "sliding_attention" => Ok(true),
        _ => Err(config.unsupported("layer_types", "layers see all positions or a sliding window")),
    };
    types.iter().map(kind).collect()
}
