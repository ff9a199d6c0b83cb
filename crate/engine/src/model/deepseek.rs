//! What DeepSeek V2 and V3 share: latent attention (DeepSeek-AI 2024, V2 §2.1), dense layers first, shared experts.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, layers};
use crate::model::rope_config::rope_config;
use crate::model::{Attention, Ffn, LayerSpec, Mla, ModelSpec, Moe};

/// The spec of either family, given its routing and how many dense layers it has unless told.
pub(crate) fn spec(config: &Config, family: &str, moe: &Moe, interleaved: bool, dense: usize) -> Result<ModelSpec> {
    config.off("attention_bias", "attention has no biases")?;
    config.off("mlp_bias", "feed-forwards have no biases")?;
    if config.count("moe_layer_freq", limit::LAYERS)?.unwrap_or(1) != 1 {
        return Err(config.unsupported("moe_layer_freq", "every layer after the dense ones has experts"));
    }
    let (nope, rope) = (config.size("qk_nope_head_dim", limit::HEAD)?, config.size("qk_rope_head_dim", limit::HEAD)?);
    if !rope.is_multiple_of(2) {
        return Err(config.wrong("qk_rope_head_dim", format!("{rope} is odd")));
    }
    let rotary = rope_config(config, rope, interleaved, 10_000.0)?;
    let mut spec = common(config, family, rotary.rope)?;
    let q_rank = match config.count("q_lora_rank", limit::RANK)? {
        Some(0) => return Err(config.wrong("q_lora_rank", "is 0; null means none")),
        rank => rank,
    };
    let attention = Attention::Mla(Mla {
        heads: config.size("num_attention_heads", limit::HEADS)?,
        nope,
        rope,
        value: config.size("v_head_dim", limit::HEAD)?,
        rank: config.size("kv_lora_rank", limit::RANK)?,
        q_rank,
        scale: (((nope + rope) as f64).powf(-0.5) * rotary.score_factor) as f32,
    });
    let dense = config.count("first_k_dense_replace", limit::LAYERS)?.unwrap_or(dense);
    let count = layers(config, moe.experts)?;
    let width = if dense > 0 { config.size("intermediate_size", limit::WIDTH)? } else { 0 };
    for i in 0..count {
        let ffn = if i < dense { Ffn::Dense(width) } else { Ffn::Moe(moe.clone()) };
        spec.layers.push(LayerSpec { attention: attention.clone(), ffn });
    }
    Ok(spec)
}

/// Sizes of the experts, routed by a softmax with nothing more; `shared` experts unless told.
pub(crate) fn experts(config: &Config, shared: usize) -> Result<Moe> {
    let experts = config.size("n_routed_experts", limit::EXPERTS)?;
    let width = config.size("moe_intermediate_size", limit::WIDTH)?;
    let shared = config.count("n_shared_experts", limit::EXPERTS)?.unwrap_or(shared);
    if shared * width > limit::WIDTH {
        return Err(config.wrong("n_shared_experts", format!("makes an MLP of width {}", shared * width)));
    }
    let chosen = config.size("num_experts_per_tok", experts)?;
    Ok(Moe::softmax(experts, chosen, width, false).sharing(shared * width))
}
