//! Grouped-query attention as configurations write it, and which layers see a sliding window.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::rope_config::rope_config;
use crate::model::{Gqa, QkNorm, Rope};

/// What the attention of a family is where its configuration does not say.
#[derive(Clone, Copy)]
pub(crate) struct Defaults {
    /// Size of a head; `None` for a share of the hidden size.
    pub(crate) head: Option<usize>,
    /// Without `num_key_value_heads` there are as many as query heads; else it must be there.
    pub(crate) multi_head: bool,
    /// Base of the rotary frequencies.
    pub(crate) theta: f64,
    /// Whether the rotation turns neighbours.
    pub(crate) interleaved: bool,
    /// How queries and keys are normed.
    pub(crate) qk_norm: QkNorm,
}

impl Defaults {
    /// Those of most families.
    pub(crate) const USUAL: Defaults =
        Defaults { head: None, multi_head: false, theta: 10_000.0, interleaved: false, qk_norm: QkNorm::None };
}

/// Attention without biases and window, and its rotary embedding.
pub(crate) fn grouped(config: &Config, defaults: &Defaults) -> Result<(Gqa, Rope)> {
    let heads = config.size("num_attention_heads", limit::HEADS)?;
    let alike = defaults.multi_head && !config.has("num_key_value_heads");
    let kv_heads = if alike { heads } else { config.size("num_key_value_heads", limit::HEADS)? };
    if !heads.is_multiple_of(kv_heads) {
        return Err(config.wrong("num_key_value_heads", format!("{kv_heads} do not divide {heads} query heads")));
    }
    let hidden = config.size("hidden_size", limit::HIDDEN)?;
    let absent = defaults.head.unwrap_or(hidden / heads);
    let head = if config.has("head_dim") { config.size("head_dim", limit::HEAD)? } else { absent };
    if head == 0 || !head.is_multiple_of(2) {
        return Err(config.wrong("head_dim", format!("{head} is not an even size")));
    }
    let rope = rope_config(config, head, defaults.interleaved, defaults.theta)?.rope;
    let (qk_norm, scale) = (defaults.qk_norm, (head as f32).sqrt().recip());
    Ok((Gqa { heads, kv_heads, head, qk_norm, bias: false, o_bias: false, sinks: false, window: None, scale }, rope))
}

/// The window of Qwen's families, which counts only if `use_sliding_window` says so.
pub(crate) fn window(config: &Config) -> Result<Option<usize>> {
    if config.flag("use_sliding_window", false)? {
        return config.size("sliding_window", limit::CONTEXT).map(Some);
    }
    Ok(None)
}

/// The window of families that have one where it is given.
pub(crate) fn window_given(config: &Config) -> Result<Option<usize>> {
    config.has("sliding_window").then(|| config.size("sliding_window", limit::CONTEXT)).transpose()
}

/// What `layer_types` says of each of `count` layers.
pub(crate) fn layer_types(config: &Config, count: usize) -> Result<Vec<&str>> {
    let types = config.texts("layer_types")?;
    if types.len() != count {
        return Err(config.wrong("layer_types", format!("{} types for {count} layers", types.len())));
    }
    Ok(types)
}

/// Which of `count` layers see a window: those that `layer_types` names, or else all from the `full`th on, or from
/// `max_window_layers` on where that is given.
pub(crate) fn slides(config: &Config, count: usize, full: usize) -> Result<Vec<bool>> {
    if config.texts("layer_types")?.is_empty() {
        let full = config.count("max_window_layers", limit::LAYERS)?.unwrap_or(full);
        return Ok((0..count).map(|i| i >= full).collect());
    }
    let kind = |kind: &&str| match *kind {
        "full_attention" => Ok(false),
        "sliding_attention" => Ok(true),
        _ => Err(config.unsupported("layer_types", "layers see all positions or a sliding window")),
    };
    layer_types(config, count)?.iter().map(kind).collect()
}
