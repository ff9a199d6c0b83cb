//! Qwen3-MoE (Qwen Team 2025): grouped-query attention with normed heads, softmax routing, no shared experts.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, layers};
use crate::model::rope_config::rope_config;
use crate::model::{Attention, Ffn, LayerSpec, ModelSpec, Moe};

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    config.off("attention_bias", "attention has no biases")?;
    let heads = config.size("num_attention_heads", limit::HEADS)?;
    let kv_heads = config.size("num_key_value_heads", limit::HEADS)?;
    if !heads.is_multiple_of(kv_heads) {
        return Err(config.wrong("num_key_value_heads", format!("{kv_heads} do not divide {heads} query heads")));
    }
    let hidden = config.size("hidden_size", limit::HIDDEN)?;
    let head = if config.has("head_dim") { config.size("head_dim", limit::HEAD)? } else { hidden / heads };
    if head == 0 || !head.is_multiple_of(2) {
        return Err(config.wrong("head_dim", format!("{head} is not an even size")));
    }
    let rotary = rope_config(config, head, false, 10_000.0)?;
    let mut spec = common(config, "qwen3_moe", rotary.rope)?;

    let experts = config.size_under(&["num_experts", "num_local_experts"], limit::EXPERTS)?;
    let attention = Attention::Gqa { heads, kv_heads, head, qk_norm: true, window: window(config)? };
    let moe = Moe {
        experts,
        chosen: config.size("num_experts_per_tok", experts)?,
        width: config.size("moe_intermediate_size", limit::WIDTH)?,
        shared: 0,
        sigmoid: false,
        bias: false,
        groups: 1,
        top_groups: 1,
        normalise: config.flag("norm_topk_prob", false)?,
        eps: 0.0,
        scale: 1.0,
    };
    let count = layers(config, experts)?;
    let dense = config.list("mlp_only_layers", limit::LAYERS)?;
    let step = if config.has("decoder_sparse_step") { config.size("decoder_sparse_step", limit::LAYERS)? } else { 1 };
    for i in 0..count {
        let sparse = !dense.contains(&i) && (i + 1).is_multiple_of(step);
        let ffn =
            if sparse { Ffn::Moe(moe.clone()) } else { Ffn::Dense(config.size("intermediate_size", limit::WIDTH)?) };
        spec.layers.push(LayerSpec { attention: attention.clone(), ffn });
    }
    Ok(spec)
}

/// The sliding window, which counts only if `use_sliding_window` says so; then it is on every layer.
fn window(config: &Config) -> Result<Option<usize>> {
    if config.flag("use_sliding_window", false)? {
        return config.size("sliding_window", limit::CONTEXT).map(Some);
    }
    Ok(None)
}
