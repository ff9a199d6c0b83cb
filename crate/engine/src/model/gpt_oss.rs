//! gpt-oss (OpenAI 2025): attention sinks, windows on every other layer, biases everywhere, clamped gates, experts in MXFP4.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, eps, layers};
use crate::model::grouped::{Defaults, grouped, slides};
use crate::model::names::Stacks;
use crate::model::{Attention, Ffn, Gqa, LayerSpec, ModelSpec, Moe, Names};

/// Tensors as in the public checkpoints.
const NAMES: Names = Names {
    router: "mlp.router",
    ups: &["gate_up_proj"],
    stacks: Some(Stacks::Mxfp4 { up: "mlp.experts.gate_up_proj", down: "mlp.experts.down_proj" }),
    ..Names::USUAL
};

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    if config.object("quantization_config")?.is_none() {
        let missing = "experts are read as MXFP4, as they are published, not as transposed bf16";
        return Err(config.unsupported("quantization_config", missing));
    }
    if !config.has("rope_scaling") && !config.has("rope_parameters") {
        return Err(config.wrong("rope_scaling", "is missing"));
    }
    if config.number("swiglu_alpha", 0.0, 1e3)?.is_some_and(|alpha| alpha != 1.702) {
        return Err(config.unsupported("swiglu_alpha", "gates are multiplied by their sigmoid at 1.702"));
    }
    let (gqa, rope) =
        grouped(config, &Defaults { head: Some(64), multi_head: true, theta: 150_000.0, ..Defaults::USUAL })?;
    let bias = config.flag("attention_bias", true)?;
    let gqa = Gqa { bias, o_bias: bias, sinks: true, ..gqa };
    let experts = config.size("num_local_experts", limit::EXPERTS)?;
    let chosen = config.size_under(&["num_experts_per_tok", "experts_per_token"], experts)?;
    let width = config.size("intermediate_size", limit::WIDTH)?;
    let clamp = config.number("swiglu_limit", 1e-3, 1e6)?.unwrap_or(7.0) as f32;
    // A softmax of the chosen logits is the chosen part of a softmax of all, normalised.
    let moe = Moe { logit_bias: true, biased: true, limit: clamp, ..Moe::softmax(experts, chosen, width, true) };
    let count = layers(config, experts)?;
    let slides = match config.has("layer_types") {
        true => slides(config, count, count)?,
        false => (0..count).map(|i| i % 2 == 0).collect(),
    };
    let mut spec = common(config, "gpt_oss", rope)?;
    spec.eps = eps(config, 1e-5)?;
    spec.names = NAMES;
    for slides in slides {
        let window = slides.then(|| config.size("sliding_window", limit::CONTEXT)).transpose()?;
        let attention = Attention::Gqa(Gqa { window, ..gqa.clone() });
        spec.layers.push(LayerSpec { attention, ffn: Ffn::Moe(moe.clone()) });
    }
    Ok(spec)
}
