//! Granite 3 with experts, and with shared ones (IBM 2024): multipliers on embeddings, attention, residuals and logits.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, layers};
use crate::model::grouped::{Defaults, grouped};
use crate::model::names::Stacks;
use crate::model::{Attention, Ffn, Gqa, LayerSpec, ModelSpec, Moe, Names};

/// What the attention is where a configuration does not say.
const DEFAULTS: Defaults = Defaults { multi_head: true, ..Defaults::USUAL };

/// Tensors as in the public checkpoints.
const NAMES: Names = Names {
    router: "block_sparse_moe.router.layer",
    experts: "block_sparse_moe.experts",
    shared: "shared_mlp",
    stacks: Some(Stacks::Halves {
        up: "block_sparse_moe.input_linear.weight",
        down: "block_sparse_moe.output_linear.weight",
        shared_up: "shared_mlp.input_linear.weight",
        shared_down: "shared_mlp.output_linear.weight",
    }),
    ..Names::USUAL
};

/// Reads a configuration. Absent keys take the defaults of the families' classes in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    let (gqa, rope) = grouped(config, &DEFAULTS)?;
    let bias = config.flag("attention_bias", false)?;
    let multiplier = |key| config.number(key, 1e-6, 1e6).map(|m| m.unwrap_or(1.0) as f32);
    let attention = Attention::Gqa(Gqa { bias, o_bias: bias, scale: multiplier("attention_multiplier")?, ..gqa });
    let experts = config.size("num_local_experts", limit::EXPERTS)?;
    let chosen = config.size("num_experts_per_tok", experts)?;
    // A softmax of the chosen logits is the chosen part of a softmax of all, normalised.
    let moe = Moe::softmax(experts, chosen, config.size("intermediate_size", limit::WIDTH)?, true);
    let family = config.text("model_type")?.unwrap_or_default();
    let shared = match family {
        "granitemoeshared" => config.count("shared_intermediate_size", limit::WIDTH)?.unwrap_or(0),
        _ => 0,
    };
    let mut spec = common(config, family, rope)?;
    spec.names = NAMES;
    spec.embed_scale = multiplier("embedding_multiplier")?;
    spec.residual_scale = multiplier("residual_multiplier")?;
    spec.logit_scale = multiplier("logits_scaling")?.recip();
    spec.layers = vec![LayerSpec { attention, ffn: Ffn::Moe(moe.sharing(shared)) }; layers(config, experts)?];
    Ok(spec)
}
