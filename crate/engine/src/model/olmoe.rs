//! OLMoE (Ai2 2024): queries and keys normed over all heads together, softmax routing whose weights are not normalised.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, eps, layers};
use crate::model::grouped::{Defaults, grouped};
use crate::model::{Attention, Ffn, LayerSpec, ModelSpec, Moe, QkNorm};

/// What the attention is where a configuration does not say.
const DEFAULTS: Defaults = Defaults { multi_head: true, qk_norm: QkNorm::Whole, ..Defaults::USUAL };

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    config.off("attention_bias", "attention has no biases")?;
    if config.has("clip_qkv") {
        return Err(config.unsupported("clip_qkv", "queries, keys and values are not clipped"));
    }
    let (gqa, rope) = grouped(config, &DEFAULTS)?;
    let experts = config.size_under(&["num_experts", "num_local_experts"], limit::EXPERTS)?;
    let chosen = config.size("num_experts_per_tok", experts)?;
    let normalise = config.flag("norm_topk_prob", false)?;
    let moe = Moe::softmax(experts, chosen, config.size("intermediate_size", limit::WIDTH)?, normalise);
    let mut spec = common(config, "olmoe", rope)?;
    spec.eps = eps(config, 1e-5)?;
    spec.layers = vec![LayerSpec { attention: Attention::Gqa(gqa), ffn: Ffn::Moe(moe) }; layers(config, experts)?];
    Ok(spec)
}
