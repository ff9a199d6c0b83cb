//! ERNIE 4.5 with experts (Baidu 2025): softmax routing balanced by a bias, shared experts, rotation of neighbours.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, eps, layers};
use crate::model::grouped::{Defaults, grouped};
use crate::model::{Attention, Ffn, LayerSpec, ModelSpec, Moe, Names};

/// What the attention is where a configuration does not say.
const DEFAULTS: Defaults = Defaults { multi_head: true, theta: 500_000.0, interleaved: true, ..Defaults::USUAL };

/// Tensors as in the public checkpoints.
const NAMES: Names = Names { correction: "mlp.moe_statics.e_score_correction_bias", ..Names::USUAL };

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    config.off("use_bias", "neither attention nor feed-forwards have biases")?;
    let (gqa, rope) = grouped(config, &DEFAULTS)?;
    let experts = config.size("moe_num_experts", limit::EXPERTS)?;
    let width = config.size("moe_intermediate_size", limit::WIDTH)?;
    let shared = config.count("moe_num_shared_experts", limit::EXPERTS)?.unwrap_or(2);
    if shared * width > limit::WIDTH {
        let reason = format!("makes an MLP of width {}", shared * width);
        return Err(config.wrong("moe_num_shared_experts", reason));
    }
    // The sum of the chosen weights is never below `moe_norm_min`: the largest of a softmax is no smaller than 1/E.
    let moe = Moe::softmax(experts, config.size("moe_k", experts)?, width, true);
    let moe = Moe { bias: true, ..moe.sharing(shared * width) };
    if config.number("moe_norm_min", 0.0, 1.0)?.is_some_and(|least| least > 1.0 / limit::EXPERTS as f64) {
        return Err(config.unsupported("moe_norm_min", "weights of the chosen experts are divided by their sum"));
    }
    let count = layers(config, experts)?;
    let first = config.count("moe_layer_start_index", limit::LAYERS)?.unwrap_or(1);
    // The last layer's number, or −1.
    let last = config.number("moe_layer_end_index", -1.0, limit::LAYERS as f64)?.unwrap_or(-1.0);
    let end = if last < 0.0 { count } else { last as usize + 1 };
    let every = config.count("moe_layer_interval", limit::LAYERS)?.unwrap_or(1).max(1);
    let mut spec = common(config, "ernie4_5_moe", rope)?;
    spec.eps = eps(config, 1e-5)?;
    spec.tied = config.flag("tie_word_embeddings", true)?;
    spec.names = NAMES;
    for i in 0..count {
        let sparse = (first..end).contains(&i) && (i + 1).is_multiple_of(every);
        let ffn =
            if sparse { Ffn::Moe(moe.clone()) } else { Ffn::Dense(config.size("intermediate_size", limit::WIDTH)?) };
        spec.layers.push(LayerSpec { attention: Attention::Gqa(gqa.clone()), ffn });
    }
    Ok(spec)
}
