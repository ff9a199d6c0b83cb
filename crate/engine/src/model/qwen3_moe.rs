//! Qwen3-MoE (Qwen Team 2025): grouped-query attention with normed heads, softmax routing, no shared experts.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, layers};
use crate::model::qwen3::{grouped, window};
use crate::model::{Ffn, LayerSpec, ModelSpec, Moe};

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    let (attention, rope) = grouped(config, None, window(config)?)?;
    let mut spec = common(config, "qwen3_moe", rope)?;

    let experts = config.size_under(&["num_experts", "num_local_experts"], limit::EXPERTS)?;
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
