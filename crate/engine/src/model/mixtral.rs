//! Mixtral (Mistral AI 2024): grouped-query attention, softmax routing whose weights are normalised.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::{common, eps, layers};
use crate::model::grouped::{Defaults, grouped, window_given};
use crate::model::{Attention, Ffn, Gqa, LayerSpec, ModelSpec, Moe, Names};

/// Tensors as in the public checkpoints.
pub(crate) const NAMES: Names = Names {
    router: "block_sparse_moe.gate",
    experts: "block_sparse_moe.experts",
    ups: &["w1", "w3"],
    down: "w2",
    ..Names::USUAL
};

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    let (gqa, rope) = grouped(config, &Defaults { theta: 1e6, ..Defaults::USUAL })?;
    let window = window_given(config)?;
    let experts = config.size("num_local_experts", limit::EXPERTS)?;
    let chosen = config.size("num_experts_per_tok", experts)?;
    let moe = Moe::softmax(experts, chosen, config.size("intermediate_size", limit::WIDTH)?, true);
    let mut spec = common(config, "mixtral", rope)?;
    spec.eps = eps(config, 1e-5)?;
    spec.names = NAMES;
    let layer = LayerSpec { attention: Attention::Gqa(Gqa { window, ..gqa }), ffn: Ffn::Moe(moe) };
    spec.layers = vec![layer; layers(config, experts)?];
    Ok(spec)
}
