//! Qwen2-MoE and Qwen1.5-MoE (Qwen Team 2024): biases on queries, keys and values, and shared experts behind a sigmoid gate.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::family::common;
use crate::model::grouped::{Defaults, grouped};
use crate::model::{Gqa, ModelSpec, Moe, Names, qwen3_moe};

/// Tensors as in the public checkpoints.
const NAMES: Names = Names { shared: "mlp.shared_expert", ..Names::USUAL };

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    config.off("use_sliding_window", "attention sees all positions")?;
    let (gqa, rope) = grouped(config, &Defaults::USUAL)?;
    let gqa = Gqa { bias: config.flag("qkv_bias", true)?, ..gqa };
    let mut spec = common(config, "qwen2_moe", rope)?;
    spec.names = NAMES;
    let shared = config.size("shared_expert_intermediate_size", limit::WIDTH)?;
    let moe = Moe { shared_gate: true, ..qwen3_moe::experts(config)?.sharing(shared) };
    qwen3_moe::layers(&mut spec, config, &gqa, &moe)?;
    Ok(spec)
}
