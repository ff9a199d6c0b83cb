//! What a GGUF calls the tensors that a family needs.

use crate::model::needs::{EMBED, HEAD, HEAD_BIAS, TAPS};
use crate::model::{ModelSpec, Names};

/// A need's tensor in the file.
#[derive(Debug, PartialEq)]
pub(super) enum Place {
    /// A tensor of its own.
    Own(String),
    /// The expert of this number in a stack of them.
    Expert(String, usize),
    /// Gates and ups of an expert by turns: the same of two stacks.
    Turns(String, String, usize),
    /// Keys and values from their latent: the tensors of each, and the one that older files have for both.
    Latent(String, String, String),
}

/// The place of the tensor that a need calls `name`.
#[inline(never)]
pub(super) fn place(spec: &ModelSpec, arch: &str, name: &str) -> Option<Place> {
    let own = |name: &str| Some(Place::Own(name.to_owned()));
    let names = &spec.names;
    match name {
        EMBED => return own("token_embd.weight"),
        HEAD => return own("output.weight"),
        HEAD_BIAS => return own("output.bias"),
        _ => {}
    }
    if let Some(end) = name.strip_prefix(names.norm) {
        return own(&format!("{}{end}", if arch == "lfm2moe" { "token_embd_norm" } else { "output_norm" }));
    }
    let (layer, part) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let block = |role: &str| format!("blk.{layer}.{role}");
    if part == "self_attn.kv_b_proj.weight" {
        let [keys, values, both] = ["attn_k_b.weight", "attn_v_b.weight", "attn_kv_b.weight"].map(block);
        return Some(Place::Latent(keys, values, both));
    }
    match part {
        TAPS => return own(&block("shortconv.conv.weight")),
        "self_attn.sinks" => return own(&block("attn_sinks.weight")),
        _ if part == names.correction => return own(&block("exp_probs_b.bias")),
        _ => {}
    }
    let (role, end) = part.rsplit_once('.')?;
    if let Some(expert) = role.strip_prefix(names.experts).and_then(|rest| rest.strip_prefix('.')) {
        let (i, role) = expert.split_once('.')?;
        let i = i.parse().ok()?;
        let stack = |kind: &str| block(&format!("ffn_{kind}_exps.{end}"));
        return Some(match kind(names, role)? {
            "" => Place::Turns(stack("gate"), stack("up"), i),
            kind => Place::Expert(stack(kind), i),
        });
    }
    let mlp = |at: &str, suffix: &str| {
        let kind = kind(names, role.strip_prefix(at)?.strip_prefix('.')?)?;
        Some(block(&format!("ffn_{kind}{suffix}.{end}")))
    };
    // The MLP of a dense layer may be called what the shared experts' name begins with.
    if let Some(found) = mlp(names.shared, "_shexp").or_else(|| mlp(names.mlp, "")) {
        return own(&found);
    }
    own(&block(&format!("{}.{end}", known(names, arch, role)?)))
}

/// Gate, up or down of an MLP; nothing for gates and ups by turns.
fn kind(names: &Names, role: &str) -> Option<&'static str> {
    match names.ups {
        _ if role == names.down => Some("down"),
        [both] if role == *both => Some(""),
        [gate, _] if role == *gate => Some("gate"),
        [_, up] if role == *up => Some("up"),
        _ => None,
    }
}

/// The parts of a layer that are no MLPs.
#[inline(never)]
fn known(names: &Names, arch: &str, role: &str) -> Option<&'static str> {
    let [q_norm, k_norm] = names.qk_norms;
    Some(match role {
        _ if role == names.attention_norm => "attn_norm",
        _ if role == names.ffn_norm && arch == "gpt-oss" => "post_attention_norm",
        _ if role == names.ffn_norm => "ffn_norm",
        _ if role == names.o => "attn_output",
        _ if role == q_norm => "attn_q_norm",
        _ if role == k_norm => "attn_k_norm",
        _ if role == names.router => "ffn_gate_inp",
        _ if role == names.shared_gate => "ffn_gate_inp_shexp",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_a_proj" => "attn_q_a",
        "self_attn.q_b_proj" => "attn_q_b",
        "self_attn.q_a_layernorm" => "attn_q_a_norm",
        "self_attn.kv_a_proj_with_mqa" => "attn_kv_a_mqa",
        "self_attn.kv_a_layernorm" => "attn_kv_a_norm",
        "conv.in_proj" => "shortconv.in_proj",
        "conv.out_proj" => "shortconv.out_proj",
        _ => return None,
    })
}
