//! Every tensor that a spec needs, by its public name and shape: the list that is checked, loaded and packed.

use crate::model::{Attention, Ffn, ModelSpec};

/// One tensor, or one layer's experts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Need {
    /// A vector kept in f32: a norm or a bias.
    Vector { name: String, len: usize },
    /// A matrix kept in f32: a router.
    Router { name: String, rows: usize, cols: usize },
    /// A matrix in any format, of tensors above each other: their names and rows. The first one's name is its own.
    Matrix { parts: Vec<(String, usize)>, cols: usize },
    /// Routed experts `{prefix}.0` and on, then shared ones, which the files have as one MLP.
    Experts { prefix: String, count: usize, shared: usize, hidden: usize, width: usize },
}

/// Names of a layer's tensors, as the families here have them in their public checkpoints.
pub(crate) fn layer(i: usize, part: &str) -> String {
    format!("model.layers.{i}.{part}")
}

/// Embedding table.
pub(crate) const EMBED: &str = "model.embed_tokens.weight";
/// Final norm.
pub(crate) const NORM: &str = "model.norm.weight";
/// Output head.
pub(crate) const HEAD: &str = "lm_head.weight";

/// All needs of a spec, the experts last: everything else is read for every token.
pub(crate) fn needs(spec: &ModelSpec) -> Vec<Need> {
    let h = spec.hidden;
    let mut list = vec![matrix(EMBED.into(), spec.vocab, h)];
    let mut experts = Vec::new();
    for (i, l) in spec.layers.iter().enumerate() {
        let name = |part: &str| layer(i, part);
        list.push(vector(name("input_layernorm.weight"), h));
        match &l.attention {
            Attention::Gqa { heads, kv_heads, head, qk_norm, .. } => {
                let q = (name("self_attn.q_proj.weight"), heads * head);
                let [k, v] = ["k_proj", "v_proj"].map(|p| (name(&format!("self_attn.{p}.weight")), kv_heads * head));
                list.push(Need::Matrix { parts: vec![q, k, v], cols: h });
                list.push(matrix(name("self_attn.o_proj.weight"), h, heads * head));
                if *qk_norm {
                    list.push(vector(name("self_attn.q_norm.weight"), *head));
                    list.push(vector(name("self_attn.k_norm.weight"), *head));
                }
            }
            Attention::Mla(m) => {
                let queries = m.heads * (m.nope + m.rope);
                let down = match m.q_rank {
                    Some(rank) => (name("self_attn.q_a_proj.weight"), rank),
                    None => (name("self_attn.q_proj.weight"), queries),
                };
                let kv_a = (name("self_attn.kv_a_proj_with_mqa.weight"), m.rank + m.rope);
                list.push(Need::Matrix { parts: vec![down, kv_a], cols: h });
                if let Some(rank) = m.q_rank {
                    list.push(vector(name("self_attn.q_a_layernorm.weight"), rank));
                    list.push(matrix(name("self_attn.q_b_proj.weight"), queries, rank));
                }
                list.push(vector(name("self_attn.kv_a_layernorm.weight"), m.rank));
                list.push(matrix(name("self_attn.kv_b_proj.weight"), m.heads * (m.nope + m.value), m.rank));
                list.push(matrix(name("self_attn.o_proj.weight"), h, m.heads * m.value));
            }
        }
        list.push(vector(name("post_attention_layernorm.weight"), h));
        match &l.ffn {
            Ffn::Dense(width) => mlp(&mut list, &name("mlp"), *width, h),
            Ffn::Moe(moe) => {
                list.push(Need::Router { name: name("mlp.gate.weight"), rows: moe.experts, cols: h });
                if moe.bias {
                    list.push(vector(name("mlp.gate.e_score_correction_bias"), moe.experts));
                }
                let prefix = name("mlp.experts");
                let (count, shared, width) = (moe.experts, moe.shared, moe.width);
                experts.push(Need::Experts { prefix, count, shared, hidden: h, width });
            }
        }
    }
    list.push(vector(NORM.into(), h));
    if !spec.tied {
        list.push(matrix(HEAD.into(), spec.vocab, h));
    }
    list.extend(experts);
    list
}

fn vector(name: String, len: usize) -> Need {
    Need::Vector { name, len }
}

fn matrix(name: String, rows: usize, cols: usize) -> Need {
    Need::Matrix { parts: vec![(name, rows)], cols }
}

fn mlp(list: &mut Vec<Need>, at: &str, width: usize, hidden: usize) {
    let parts = ["gate_proj", "up_proj"].map(|p| (format!("{at}.{p}.weight"), width));
    list.push(Need::Matrix { parts: parts.into(), cols: hidden });
    list.push(matrix(format!("{at}.down_proj.weight"), hidden, width));
}
