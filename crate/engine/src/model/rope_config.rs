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
        // It stretches beyond `max_position_embeddings`, which is as far as a context goes here.
        "dynamic" => Ok(RopeConfig { rope: rope(RopeScaling::Plain), score_factor: 1.0 }),
        "llama3" => {
            let given = |key: &str, least: f64, most: f64| {
                s.number(key, least, most)?.ok_or_else(|| s.wrong(key, "is missing"))
            };
            let factor = given("factor", 1e-3, 1e6)?;
            let original = given("original_max_position_embeddings", 1.0, limit::CONTEXT as f64)?;
            let (low, high) = (given("low_freq_factor", 1e-3, 1e6)?, given("high_freq_factor", 1e-3, 1e6)?);
            if low >= high {
                return Err(s.wrong("low_freq_factor", format!("{low} is not below high_freq_factor, {high}")));
            }
            let scaling = RopeScaling::Llama3 { factor, original, low, high };
            Ok(RopeConfig { rope: rope(scaling), score_factor: 1.0 })
        }
        "longrope" => Ok(RopeConfig { rope: rope(long(config, &s, dims)?), score_factor: 1.0 }),
        _ => Err(s.unsupported(kind_key, "rotary scaling is default, linear, dynamic, yarn, llama3 or longrope")),
    }
}

/// LongRoPE. Phi's experts have factors of cosines and sines for both lists (`short_mscale`, `long_mscale`); others one for both,
/// which grows with the stretch unless it is given.
fn long(config: &Config, s: &Config, dims: usize) -> Result<RopeScaling> {
    let context = limit::CONTEXT as f64;
    let original = match s.number("original_max_position_embeddings", 2.0, context)? {
        Some(original) => original,
        None => config
            .number("original_max_position_embeddings", 2.0, context)?
            .ok_or_else(|| s.wrong("original_max_position_embeddings", "is missing"))?,
    };
    let stretch = match s.number("factor", 1e-3, 1e6)? {
        Some(factor) => factor,
        None => config.size("max_position_embeddings", limit::CONTEXT)? as f64 / original,
    };
    let grown = if stretch <= 1.0 { 1.0 } else { (1.0 + stretch.ln() / original.ln()).sqrt() };
    let grown = s.number("attention_factor", 0.0, 1e3)?.unwrap_or(grown);
    let factors = |key| {
        let factors = s.numbers(key, 1e-3, 1e6)?;
        if factors.len() != dims / 2 {
            return Err(s.wrong(key, format!("has {} factors for {} pairs", factors.len(), dims / 2)));
        }
        Ok(factors)
    };
    Ok(RopeScaling::Long {
        original,
        short: factors("short_factor")?,
        long: factors("long_factor")?,
        short_scale: s.number("short_mscale", 1e-3, 1e3)?.unwrap_or(grown),
        long_scale: s.number("long_mscale", 1e-3, 1e3)?.unwrap_or(grown),
    })
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
