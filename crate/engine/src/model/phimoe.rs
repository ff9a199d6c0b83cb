//! Phi-3.5-MoE and the slimmer models distilled from it (Microsoft 2024, 2025): LayerNorm, biases, routing by sparsemixer.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, eps, layers};
use crate::model::grouped::{Defaults, grouped, window_given};
use crate::model::{Attention, Ffn, Gqa, LayerSpec, ModelSpec, Moe, mixtral};

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    let (gqa, rope) = grouped(config, &Defaults { theta: 1e6, ..Defaults::USUAL })?;
    let window = window_given(config)?;
    let bias = config.flag("attention_bias", false)?;
    let attention = Attention::Gqa(Gqa { window, bias, o_bias: bias, ..gqa });
    let experts = config.size("num_local_experts", limit::EXPERTS)?;
    if config.size("num_experts_per_tok", experts)? != 2 {
        return Err(config.unsupported("num_experts_per_tok", "sparsemixer chooses two experts"));
    }
    let moe = Moe::softmax(experts, 2, config.size("intermediate_size", limit::WIDTH)?, false);
    let jitter = config.number("router_jitter_noise", 1e-6, 1.0)?.unwrap_or(0.01) as f32;
    let mut spec = common(config, "phimoe", rope)?;
    spec.names = mixtral::NAMES;
    spec.eps = eps(config, 1e-5)?;
    spec.layer_norm = true;
    spec.head_bias = config.flag("lm_head_bias", false)?;
    spec.layers = vec![LayerSpec { attention, ffn: Ffn::Moe(Moe { jitter, ..moe }) }; layers(config, experts)?];
    Ok(spec)
}
