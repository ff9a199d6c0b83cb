//! Metadata of a GGUF as the config.json of the family that they are about.
//!
//! Where the format has no key for what a family's configuration says, the value is that of all its public models.

use serde_json::Value;

use super::Meta;
use super::object::Object;
use super::tokenizer::ends;
use crate::error::{Error, Result};
use crate::source::Source;

/// An architecture, the family it is, and what its configuration says beside the usual.
struct Arch {
    name: &'static str,
    family: fn(&Meta<'_>) -> &'static str,
    more: fn(&Meta<'_>, &mut Object) -> Result<()>,
}

/// Every architecture that is a family here.
const ARCHS: [Arch; 12] = [
    Arch { name: "llama", family: |m| if experts(m) { "mixtral" } else { "llama" }, more: llama },
    Arch { name: "qwen2", family: |_| "qwen2", more: |_, _| Ok(()) },
    Arch { name: "qwen3", family: |_| "qwen3", more: |_, _| Ok(()) },
    Arch { name: "qwen2moe", family: |_| "qwen2_moe", more: qwen2_moe },
    Arch { name: "qwen3moe", family: |_| "qwen3_moe", more: qwen3_moe },
    Arch { name: "olmoe", family: |_| "olmoe", more: olmoe },
    Arch { name: "granitemoe", family: granite, more: granitemoe },
    Arch { name: "phimoe", family: |_| "phimoe", more: phimoe },
    Arch { name: "gpt-oss", family: |_| "gpt_oss", more: gpt_oss },
    Arch { name: "lfm2moe", family: |_| "lfm2_moe", more: lfm2_moe },
    Arch { name: "ernie4_5-moe", family: |_| "ernie4_5_moe", more: ernie4_5_moe },
    Arch { name: "deepseek2", family: |m| if sigmoid(m) { "deepseek_v3" } else { "deepseek_v2" }, more: deepseek2 },
];

/// config.json, as it would be.
pub(super) async fn config(meta: &Meta<'_>, source: &dyn Source) -> Result<Object> {
    let Some(arch) = ARCHS.iter().find(|arch| arch.name == meta.arch) else {
        let known: Vec<_> = ARCHS.iter().map(|arch| arch.name).collect();
        let what = format!("general.architecture = {}", meta.arch);
        return Err(meta.unsupported(&what, &format!("known in a GGUF are {}", known.join(", "))));
    };
    let (_, embedding) = meta.tensor("token_embd.weight").ok_or_else(|| {
        Error::tensor(meta.file, "token_embd.weight", "is missing; it says how many tokens there are")
    })?;
    let mut out = Object::default();
    out.put("model_type", (arch.family)(meta));
    out.put("vocab_size", embedding.shape[0]);
    out.put("hidden_size", meta.size("embedding_length")?);
    out.put("num_hidden_layers", meta.size("block_count")?);
    out.put("max_position_embeddings", meta.size("context_length")?);
    out.put("num_attention_heads", meta.size("attention.head_count")?);
    out.put("tie_word_embeddings", !meta.has("output.weight"));
    out.put("eos_token_id", ends(meta)?);
    let heads = meta.each("attention.head_count_kv")?.unwrap_or_default();
    if let Some(most) = heads.iter().max() {
        // Layers without heads of keys are convolutions.
        if heads.iter().any(|n| n != most && *n != 0) {
            return Err(meta.unsupported(&meta.key("attention.head_count_kv"), "all layers have as many heads of keys"));
        }
        out.put("num_key_value_heads", *most);
    }
    if let Some(widths) = meta.each("feed_forward_length")? {
        if widths.iter().any(|n| Some(n) != widths.first()) {
            return Err(meta.unsupported(&meta.key("feed_forward_length"), "all dense layers are as wide"));
        }
        out.put("intermediate_size", widths.first().copied().unwrap_or(0));
    }
    if let Some(head) = meta.count("attention.key_length")?.filter(|_| !latent(meta)) {
        if meta.count("attention.value_length")?.is_some_and(|value| value != head) {
            return Err(meta.wrong("attention.value_length", format!("is not {head}, as keys have")));
        }
        out.put("head_dim", head);
    }
    for (end, key) in [
        ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
        ("rope.freq_base", "rope_theta"),
        ("expert_used_count", "num_experts_per_tok"),
        ("expert_feed_forward_length", "moe_intermediate_size"),
    ] {
        if let Some(number) = meta.number(end)? {
            let whole = number.fract() == 0.0 && key != "rms_norm_eps" && key != "rope_theta";
            out.put(key, if whole { Value::from(number as u64) } else { Value::from(number) });
        }
    }
    if let Some(scaling) = rope(meta, source).await? {
        out.put("rope_scaling", scaling);
    }
    (arch.more)(meta, &mut out)?;
    plain(meta, &out)?;
    Ok(out)
}

/// Refuses what a file asks for and its family does not have here: it would run, and say something else.
fn plain(meta: &Meta<'_>, config: &Object) -> Result<()> {
    const SCALES: [&str; 4] = ["attention.scale", "embedding_scale", "residual_scale", "logit_scale"];
    const NEVER: [&str; 4] =
        ["attn_logit_softcapping", "final_logit_softcapping", "attention.max_alibi_bias", "pooling_type"];
    let scaled = meta.arch == "granitemoe";
    for end in SCALES.iter().filter(|_| !scaled).chain(&NEVER) {
        let off = if SCALES.contains(end) { 1.0 } else { 0.0 };
        if meta.number(end)?.is_some_and(|n| n != off) {
            return Err(meta.unsupported(&meta.key(end), "the family has no such thing"));
        }
    }
    let clamped = meta.number("attention.clamp_kqv")?.is_some() && !config.has("clip_qkv");
    let window = meta.count("attention.sliding_window")?.is_some_and(|n| n > 0);
    if clamped || (window && !["gpt-oss", "phimoe"].contains(&meta.arch)) {
        let end = if clamped { "attention.clamp_kqv" } else { "attention.sliding_window" };
        return Err(meta.unsupported(&meta.key(end), "the family has no such thing"));
    }
    let heads = meta.size("attention.head_count")?;
    let head = meta.count("attention.key_length")?.unwrap_or(meta.size("embedding_length")? / heads);
    match meta.count("rope.dimension_count")? {
        Some(dims) if dims != head && !latent(meta) => {
            Err(meta.unsupported(&format!("{} = {dims}", meta.key("rope.dimension_count")), "heads are rotated whole"))
        }
        _ => Ok(()),
    }
}

/// Whether there are experts.
fn experts(meta: &Meta<'_>) -> bool {
    meta.count("expert_count").ok().flatten().is_some_and(|n| n > 0)
}

/// Whether scores are sigmoids.
fn sigmoid(meta: &Meta<'_>) -> bool {
    meta.count("expert_gating_func").ok().flatten() == Some(2)
}

/// Whether attention is latent.
fn latent(meta: &Meta<'_>) -> bool {
    meta.key("").starts_with("deepseek2")
}

/// Whether the first layer's tensor of this name is there.
fn first(meta: &Meta<'_>, name: &str) -> bool {
    meta.has(&format!("blk.0.{name}"))
}

/// Numbers of the layers without experts.
fn dense(meta: &Meta<'_>) -> Result<Vec<u64>> {
    let layers = meta.size("block_count")?.min(crate::model::config::limit::LAYERS as u64);
    Ok((0..layers).filter(|i| !meta.has(&format!("blk.{i}.ffn_gate_inp.weight"))).collect())
}

/// How the rotation is scaled, if it is; lists of factors are tensors.
async fn rope(meta: &Meta<'_>, source: &dyn Source) -> Result<Option<Object>> {
    let mut out = Object::default();
    let original = meta.count("rope.scaling.original_context_length")?;
    let kind = meta.text(&meta.key("rope.scaling.type"))?.unwrap_or("none");
    if let Some(freqs) = factors(meta, source, "rope_freqs.weight").await? {
        // What Llama 3.1 scales by, worked out: one list for all contexts.
        out.put("original_max_position_embeddings", meta.size("context_length")?);
        out.put("rope_type", "longrope");
        out.put("attention_factor", 1.0);
        out.put("short_factor", freqs.clone());
        out.put("long_factor", freqs);
        return Ok(Some(out));
    }
    let factor = meta.number("rope.scaling.factor")?;
    match kind {
        "none" => return Ok(None),
        "linear" => {}
        "longrope" => {
            let lists = ["rope_factors_short.weight", "rope_factors_long.weight"];
            for (name, key) in lists.into_iter().zip(["short_factor", "long_factor"]) {
                let missing = || Error::tensor(meta.file, name, "is missing; rope.scaling.type is longrope");
                out.put(key, factors(meta, source, name).await?.ok_or_else(missing)?);
            }
            if let Some(attention) = meta.number("rope.scaling.attn_factor")? {
                out.put("attention_factor", attention);
            }
        }
        "yarn" => {
            for end in ["beta_fast", "beta_slow"] {
                if let Some(beta) = meta.number(&format!("rope.scaling.yarn_{end}"))? {
                    out.put(end, beta);
                }
            }
            if let Some(attention) = meta.number("rope.scaling.yarn_attn_factor")? {
                out.put("attention_factor", attention);
            }
            for end in ["attn_factor", "yarn_ext_factor"] {
                let end = format!("rope.scaling.{end}");
                if meta.number(&end)?.is_some_and(|n| n != 1.0) {
                    return Err(meta.unsupported(&meta.key(&end), "yarn has no further factors"));
                }
            }
            if let Some(times) = meta.number("rope.scaling.yarn_log_multiplier")? {
                // A tenth of `mscale_all_dim`; the format takes `mscale` for the same.
                out.put("mscale", times * 10.0);
                out.put("mscale_all_dim", times * 10.0);
            }
            if meta.arch == "gpt-oss" {
                out.put("truncate", false);
            }
        }
        other => {
            let what = format!("{} = {other}", meta.key("rope.scaling.type"));
            return Err(meta.unsupported(&what, "rotary scaling is none, linear, yarn or longrope"));
        }
    }
    out.put("rope_type", kind);
    if let Some(factor) = factor {
        out.put("factor", factor);
    }
    if let Some(original) = original {
        out.put("original_max_position_embeddings", original);
    }
    Ok(Some(out))
}

/// Most pairs of a head.
const PAIRS: u64 = crate::model::config::limit::HEAD as u64;

/// The values of a small tensor of floats, if there.
async fn factors(meta: &Meta<'_>, source: &dyn Source, name: &str) -> Result<Option<Value>> {
    let Some((file, info)) = meta.tensor(name) else { return Ok(None) };
    if info.kind.name != "F32" || info.shape.len() != 1 || info.shape[0] > PAIRS {
        let reason = format!("is {} {:?}, where up to {PAIRS} values of F32 may be", info.kind.name, info.shape);
        return Err(Error::tensor(file, name, reason));
    }
    let bytes = source.read(file, info.offset..info.offset + info.bytes).await?;
    let floats: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
    if floats.iter().any(|v| !v.is_finite()) {
        return Err(Error::tensor(file, name, "has a value that is infinite or not a number"));
    }
    Ok(Some(floats.into()))
}

fn llama(meta: &Meta<'_>, out: &mut Object) -> Result<()> {
    out.put("attention_bias", first(meta, "attn_q.bias"));
    if experts(meta) {
        out.put("num_local_experts", meta.size("expert_count")?);
    }
    Ok(())
}

fn qwen2_moe(meta: &Meta<'_>, out: &mut Object) -> Result<()> {
    let shared = meta.size("expert_shared_feed_forward_length")?;
    out.put("shared_expert_intermediate_size", shared);
    out.put("qkv_bias", first(meta, "attn_q.bias"));
    sparse(meta, out, false)
}

fn qwen3_moe(meta: &Meta<'_>, out: &mut Object) -> Result<()> {
    sparse(meta, out, true)
}

/// Experts of Qwen's families; whether weights are normalised unless the file says so.
fn sparse(meta: &Meta<'_>, out: &mut Object, normalised: bool) -> Result<()> {
    out.put("num_experts", meta.size("expert_count")?);
    out.put("mlp_only_layers", dense(meta)?);
    let normalised = meta.flag(&meta.key("expert_weights_norm"))?.unwrap_or(normalised);
    out.put("norm_topk_prob", normalised);
    Ok(())
}

fn olmoe(meta: &Meta<'_>, out: &mut Object) -> Result<()> {
    if let Some(clip) = meta.number("attention.clamp_kqv")? {
        out.put("clip_qkv", clip);
    }
    sparse(meta, out, false)
}

fn granite(meta: &Meta<'_>) -> &'static str {
    let shared = meta.count("expert_shared_feed_forward_length").ok().flatten().unwrap_or(0);
    if shared > 0 { "granitemoeshared" } else { "granitemoe" }
}

fn granitemoe(meta: &Meta<'_>, out: &mut Object) -> Result<()> {
    out.put("num_local_experts", meta.size("expert_count")?);
    out.put("attention_bias", first(meta, "attn_q.bias"));
    if let Some(shared) = meta.count("expert_shared_feed_forward_length")? {
        out.put("shared_intermediate_size", shared);
    }
    for (end, key) in [
        ("attention.scale", "attention_multiplier"),
        ("embedding_scale", "embedding_multiplier"),
        ("residual_scale", "residual_multiplier"),
        ("logit_scale", "logits_scaling"),
    ] {
        if let Some(scale) = meta.number(end)? {
            out.put(key, scale);
        }
    }
    Ok(())
}

fn phimoe(meta: &Meta<'_>, out: &mut Object) -> Result<()> {
    out.put("num_local_experts", meta.size("expert_count")?);
    out.put("attention_bias", first(meta, "attn_q.bias"));
    out.put("lm_head_bias", meta.has("output.bias"));
    if let Some(window) = meta.count("attention.sliding_window")?.filter(|n| *n > 0) {
        out.put("sliding_window", window);
    }
    Ok(())
}

fn gpt_oss(meta: &Meta<'_>, out: &mut Object) -> Result<()> {
    out.put("num_local_experts", meta.size("expert_count")?);
    out.put("intermediate_size", meta.size("expert_feed_forward_length")?);
    out.put("sliding_window", meta.size("attention.sliding_window")?);
    out.put("quantization_config", Object::of(r#"{ "quant_method": "mxfp4" }"#));
    if !out.has("rope_scaling") {
        out.put("rope_scaling", Object::of(r#"{ "rope_type": "default" }"#));
    }
    Ok(())
}

fn lfm2_moe(meta: &Meta<'_>, out: &mut Object) -> Result<()> {
    out.put("num_experts", meta.size("expert_count")?);
    out.put("num_dense_layers", meta.count("leading_dense_block_count")?.unwrap_or(0));
    out.put("conv_L_cache", meta.size("shortconv.l_cache")?);
    let eps = meta.number("attention.layer_norm_rms_epsilon")?;
    out.put("norm_eps", eps.unwrap_or(1e-5));
    let heads = meta.each("attention.head_count_kv")?.unwrap_or_default();
    let kind = |n: &u64| if *n == 0 { "conv" } else { "full_attention" };
    out.put("layer_types", heads.iter().map(kind).collect::<Vec<_>>());
    let bias = dense(meta)?.len() as u64;
    out.put("use_expert_bias", meta.has(&format!("blk.{bias}.exp_probs_b.bias")));
    Ok(())
}

fn ernie4_5_moe(meta: &Meta<'_>, out: &mut Object) -> Result<()> {
    out.put("moe_num_experts", meta.size("expert_count")?);
    out.put("moe_k", meta.size("expert_used_count")?);
    out.put("moe_num_shared_experts", meta.count("expert_shared_count")?.unwrap_or(0));
    out.put("moe_layer_start_index", meta.count("leading_dense_block_count")?.unwrap_or(0));
    out.put("moe_layer_interval", meta.count("interleave_moe_layer_step")?.unwrap_or(1));
    Ok(())
}

/// Most experts of models that cannot have been routed in groups where the file does not say.
const UNGROUPED: u64 = 128;

fn deepseek2(meta: &Meta<'_>, out: &mut Object) -> Result<()> {
    let rope = meta.size("rope.dimension_count")?;
    // Files before heads were split have the heads' own sizes in the place of the latent ones'.
    let size = |latent: &str, older: &str| match meta.count(latent)? {
        Some(n) => Ok(n),
        None => meta.size(older),
    };
    let key = size("attention.key_length_mla", "attention.key_length")?;
    let nope = key.checked_sub(rope).filter(|n| *n > 0);
    let nope =
        nope.ok_or_else(|| meta.wrong("attention.key_length_mla", format!("{key} is not above rope, {rope}")))?;
    out.put("qk_nope_head_dim", nope);
    out.put("qk_rope_head_dim", rope);
    out.put("v_head_dim", size("attention.value_length_mla", "attention.value_length")?);
    out.put("kv_lora_rank", meta.size("attention.kv_lora_rank")?);
    if let Some(rank) = meta.count("attention.q_lora_rank")? {
        out.put("q_lora_rank", rank);
    }
    let experts = meta.size("expert_count")?;
    out.put("n_routed_experts", experts);
    out.put("n_shared_experts", meta.count("expert_shared_count")?.unwrap_or(0));
    out.put("first_k_dense_replace", meta.count("leading_dense_block_count")?.unwrap_or(0));
    out.put("routed_scaling_factor", meta.number("expert_weights_scale")?.unwrap_or(1.0));
    let normalised = meta.flag(&meta.key("expert_weights_norm"))?.unwrap_or(false);
    out.put("norm_topk_prob", normalised);
    let groups = meta.count("expert_group_count")?;
    if groups.is_none() && experts > UNGROUPED {
        return Err(meta.wrong("expert_group_count", format!("is missing; {experts} experts are routed in groups")));
    }
    let groups = groups.unwrap_or(1).max(1);
    out.put("n_group", groups);
    out.put("topk_group", meta.count("expert_group_used_count")?.unwrap_or(1).max(1));
    let method = match (sigmoid(meta), groups) {
        (true, _) => "noaux_tc",
        (false, 1) => "greedy",
        (false, _) => "group_limited_greedy",
    };
    out.put("topk_method", method);
    out.put("scoring_func", if sigmoid(meta) { "sigmoid" } else { "softmax" });
    Ok(())
}
