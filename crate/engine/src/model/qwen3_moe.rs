//! Qwen3-MoE (Qwen Team 2025): grouped-query attention with normed heads, softmax routing, no shared experts.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::common;
use crate::model::grouped::{Defaults, grouped, window};
use crate::model::{Attention, Ffn, Gqa, LayerSpec, ModelSpec, Moe, QkNorm, family};

/// What the attention is where a configuration does not say.
const DEFAULTS: Defaults = Defaults { qk_norm: QkNorm::Head, ..Defaults::USUAL };

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    config.off("attention_bias", "attention has no biases")?;
    let (gqa, rope) = grouped(config, &DEFAULTS)?;
    let mut spec = common(config, "qwen3_moe", rope)?;
    layers(&mut spec, config, &Gqa { window: window(config)?, ..gqa }, &experts(config)?)?;
    Ok(spec)
}

/// Experts of Qwen's families, without those shared.
pub(crate) fn experts(config: &Config) -> Result<Moe> {
    let experts = config.size_under(&["num_experts", "num_local_experts"], limit::EXPERTS)?;
    let chosen = config.size("num_experts_per_tok", experts)?;
    let width = config.size("moe_intermediate_size", limit::WIDTH)?;
    Ok(Moe::softmax(experts, chosen, width, config.flag("norm_topk_prob", false)?))
}

/// Layers with experts, but for those that `mlp_only_layers` names or `decoder_sparse_step` leaves out.
pub(crate) fn layers(spec: &mut ModelSpec, config: &Config, gqa: &Gqa, moe: &Moe) -> Result<()> {
    let count = family::layers(config, moe.experts)?;
    let dense = config.list("mlp_only_layers", limit::LAYERS)?;
    let step = if config.has("decoder_sparse_step") { config.size("decoder_sparse_step", limit::LAYERS)? } else { 1 };
    for i in 0..count {
        let sparse = !dense.contains(&i) && (i + 1).is_multiple_of(step);
        let ffn =
            if sparse { Ffn::Moe(moe.clone()) } else { Ffn::Dense(config.size("intermediate_size", limit::WIDTH)?) };
        spec.layers.push(LayerSpec { attention: Attention::Gqa(gqa.clone()), ffn });
    }
    Ok(())
}
