//! DeepSeek-V2 (DeepSeek-AI 2024): softmax routing whose weights are not normalised. The Lite models, without groups.

use crate::error::Result;
use crate::model::config::Config;
use crate::model::{ModelSpec, Moe, deepseek};

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    config.only("topk_method", "greedy", "routing is greedy: the large V2 chooses groups by their best expert")?;
    config.only("scoring_func", "softmax", "routing scores are a softmax")?;
    config.off("norm_topk_prob", "weights of the chosen experts are not normalised")?;
    let scale = config.number("routed_scaling_factor", 1e-6, 1e6)?.unwrap_or(1.0) as f32;
    let moe = Moe { scale, ..deepseek::experts(config, 2)? };
    deepseek::spec(config, "deepseek_v2", &moe, true, 0)
}
