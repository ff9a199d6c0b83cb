//! DeepSeek-V3 and R1 (DeepSeek-AI 2024, §2.1): sigmoid routing balanced by a bias, in groups of experts.
//!
//! The layer for predicting a second token (`num_nextn_predict_layers`) is passed over: it plays no part in inference.

use crate::error::Result;
use crate::model::config::Config;
use crate::model::{ModelSpec, Moe, deepseek};

/// Added to the sum of the chosen scores before dividing by it.
const EPS: f32 = 1e-20;

/// Reads a configuration. Absent keys take the defaults of the family's class in transformers; sizes must be there.
pub(crate) fn spec(config: &Config) -> Result<ModelSpec> {
    config.only("topk_method", "noaux_tc", "routing is noaux_tc")?;
    config.only("scoring_func", "sigmoid", "routing scores are sigmoids")?;
    deepseek::spec(config, "deepseek_v3", &moe(config)?, config.flag("rope_interleave", true)?, 3)
}

fn moe(config: &Config) -> Result<Moe> {
    let plain = deepseek::experts(config, 1)?;
    let (experts, chosen) = (plain.experts, plain.chosen);
    let groups = config.count("n_group", experts)?.unwrap_or(8);
    let top_groups = config.count("topk_group", experts)?.unwrap_or(4);
    // A group is judged by its two best experts.
    if groups == 0 || !experts.is_multiple_of(groups) || (groups > 1 && experts / groups < 2) {
        return Err(config.wrong("n_group", format!("{experts} experts in {groups} groups")));
    }
    if top_groups == 0 || top_groups > groups || chosen > experts / groups * top_groups {
        let reason = format!("{top_groups} of {groups} groups for {chosen} of {experts} experts");
        return Err(config.wrong("topk_group", reason));
    }
    let normalise = config.flag("norm_topk_prob", true)?;
    let scale = config.number("routed_scaling_factor", 1e-6, 1e6)?.unwrap_or(2.5) as f32;
    Ok(Moe { sigmoid: true, bias: true, groups, top_groups, normalise, eps: EPS, scale, ..plain })
}
