//! Rotary embedding as configurations write it, in the keys of transformers before version 5 and since.

use crate::error::Result;
use crate::model::config::{Config, limit};
use crate::model::{Rope, RopeScaling};

/// A rotary embedding, and what its scaling does to the scores of latent attention.
pub(crate) struct RopeConfig {
    /// The embedding.
    pub(crate) rope: Rope,
    /// Factor of the scores: the square of yarn's `mscale_all_dim` term in DeepSeek's files, else 1.
    pub(crate) score_factor: f64,
}

/// Reads `rope_theta` with `rope_scaling` (kind under `type` or `rope_type`), or `rope_parameters`, for `dims` rotated
/// dimensions.
pub(crate) fn rope_config(config: &Config, dims: usize, interleaved: bool, theta: f64) -> Result<RopeConfig> {
    let scaling = match (config.object("rope_scaling")?, config.object("rope_parameters")?) {
        (Some(_), Some(_)) => {
            return Err(config.wrong("rope_parameters", "is given beside rope_scaling; one of them must go"));
        }
        (older, newer) => newer.or(older),
    };
    let read = |c: &Config| c.number("rope_theta", 1.0, 1e12);
    let theta = match scaling.as_ref().map(read).transpose()?.flatten() {
        Some(theta) => theta,
        None => read(config)?.unwrap_or(theta),
    };
    if theta <= 1.0 {
        return Err(config.wrong("rope_theta", "is not above 1"));
    }
    for c in scaling.iter().chain([config]) {
        if c.number("partial_rotary_factor", 0.0, 1.0)?.is_some_and(|part| part != 1.0) {
            return Err(c.unsupported("partial_rotary_factor", "heads are rotated whole"));
        }
    }
    let rope = |scaling| Rope { theta, dims, interleaved, scaling };
    let Some(s) = scaling else {
        return Ok(RopeConfig { rope: rope(RopeScaling::Plain), score_factor: 1.0 });
    };
    let kind_key = if s.has("rope_type") { "rope_type" } else { "type" };
    let kind = s.text(kind_key)?.unwrap_or("default");
    let factor = || s.number("factor", 1e-3, 1e6);
    match kind {
        "default" => Ok(RopeConfig { rope: rope(RopeScaling::Plain), score_factor: 1.0 }),
        "linear" => {
            let factor = factor()?.ok_or_else(|| s.wrong("factor", "is missing"))?;
            Ok(RopeConfig { rope: rope(RopeScaling::Linear(factor)), score_factor: score_factor(&s, factor)? })
        }
        "yarn" => {
            let longest = config.size("max_position_embeddings", limit::CONTEXT)? as f64;
            let original = s.number("original_max_position_embeddings", 1.0, limit::CONTEXT as f64)?.unwrap_or(longest);
            let factor = factor()?.unwrap_or(longest / original);
            let scale = |key: &str| s.number(key, 0.0, 1e3).map(|v| v.filter(|v| *v != 0.0));
            let attention = match (s.number("attention_factor", 0.0, 1e3)?, scale("mscale")?, scale("mscale_all_dim")?)
            {
                (Some(given), ..) => given,
                (None, Some(mscale), Some(all)) => magnitude(factor, mscale) / magnitude(factor, all),
                _ => magnitude(factor, 1.0),
            };
            let beta_fast = s.number("beta_fast", 1e-3, 1e6)?.unwrap_or(32.0);
            let beta_slow = s.number("beta_slow", 1e-3, 1e6)?.unwrap_or(1.0);
            let truncate = s.flag("truncate", true)?;
            let yarn = RopeScaling::Yarn { factor, original, beta_fast, beta_slow, truncate, attention };
            Ok(RopeConfig { rope: rope(yarn), score_factor: score_factor(&s, factor)? })
        }
        _ => Err(s.unsupported(kind_key, "rotary scaling is default, linear or yarn")),
    }
}

/// DeepSeek-V3 multiplies its scores by the square of this term.
fn score_factor(scaling: &Config, factor: f64) -> Result<f64> {
    let all = scaling.number("mscale_all_dim", 0.0, 1e3)?.unwrap_or(0.0);
    Ok(if all == 0.0 { 1.0 } else { magnitude(factor, all).powi(2) })
}

/// YaRN's growth of attention with the stretch (Peng et al. 2023, §3.4).
fn magnitude(factor: f64, scale: f64) -> f64 {
    if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 }
}
