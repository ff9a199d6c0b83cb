//! LFM2 with experts (Liquid AI 2025): short convolutions on most layers, sigmoid routing balanced by a bias, dense layers first.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, layers};
use crate::model::grouped::{Defaults, grouped, layer_types};
use crate::model::{Attention, Conv, Ffn, LayerSpec, ModelSpec, Moe, Names, QkNorm};

/// What the attention is where a configuration does not say.
const DEFAULTS: Defaults = Defaults { theta: 1e6, qk_norm: QkNorm::Head, ..Defaults::USUAL };

/// Tensors as in the public checkpoints.
const NAMES: Names = Names {
    norm: "model.embedding_norm",
    attention_norm: "operator_norm",
    ffn_norm: "ffn_norm",
    o: "self_attn.out_proj",
    qk_norms: ["self_attn.q_layernorm", "self_attn.k_layernorm"],
    mlp: "feed_forward",
    router: "feed_forward.gate",
    correction: "feed_forward.expert_bias",
    experts: "feed_forward.experts",
    ups: &["w1", "w3"],
    down: "w2",
    ..Names::USUAL
};

/// Added to the sum of the chosen scores before dividing by it.
const EPS: f32 = 1e-6;

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    config.off("conv_bias", "convolutions have no biases")?;
    let (gqa, rope) = grouped(config, &DEFAULTS)?;
    let taps = config.count("conv_L_cache", limit::TAPS)?.unwrap_or(3);
    if taps == 0 {
        return Err(config.wrong("conv_L_cache", "is 0"));
    }
    let experts = config.size("num_experts", limit::EXPERTS)?;
    let chosen = config.size("num_experts_per_tok", experts)?;
    let width = config.size("moe_intermediate_size", limit::WIDTH)?;
    let moe = Moe {
        sigmoid: true,
        bias: config.flag("use_expert_bias", true)?,
        eps: EPS,
        scale: config.number("routed_scaling_factor", 1e-6, 1e6)?.unwrap_or(1.0) as f32,
        ..Moe::softmax(experts, chosen, width, config.flag("norm_topk_prob", true)?)
    };
    let count = layers(config, experts)?;
    let dense = config.count("num_dense_layers", limit::LAYERS)?.unwrap_or(2);
    let mut spec = common(config, "lfm2_moe", rope)?;
    spec.names = NAMES;
    spec.eps = config.number("norm_eps", 0.0, 1.0)?.unwrap_or(1e-5) as f32;
    spec.tied = config.flag("tie_embedding", config.flag("tie_word_embeddings", true)?)?;
    for (i, kind) in layer_types(config, count)?.into_iter().enumerate() {
        let attention = match kind {
            "conv" => Attention::Conv(Conv { taps }),
            "full_attention" => Attention::Gqa(gqa.clone()),
            _ => return Err(config.unsupported("layer_types", "layers are conv or full_attention")),
        };
        let ffn = match i < dense {
            true => Ffn::Dense(config.size("intermediate_size", limit::WIDTH)?),
            false => Ffn::Moe(moe.clone()),
        };
        spec.layers.push(LayerSpec { attention, ffn });
    }
    Ok(spec)
}
