//! Every tensor that a spec needs, by its public name and shape: the list that is checked, loaded and packed.

use crate::model::{Attention, Ffn, Gqa, Mla, ModelSpec, Moe, QkNorm};
use crate::weights::{Group, View};

/// One tensor, or one layer's experts. Parts stand above or behind each other, each a name and its rows or length; the first
/// one's name is the need's own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Need {
    /// A vector kept in f32: a norm or a bias.
    Vector { parts: Vec<(String, usize)> },
    /// A matrix kept in f32: a router.
    Router { parts: Vec<(String, usize)>, cols: usize },
    /// A matrix in any format.
    Matrix { parts: Vec<(String, usize)>, cols: usize },
    /// The experts of a layer.
    Experts(Group),
}

/// Names of a layer's tensors, as the families here have them in their public checkpoints.
pub(crate) fn layer(i: usize, part: &str) -> String {
    format!("model.layers.{i}.{part}")
}

/// Embedding table.
pub(crate) const EMBED: &str = "model.embed_tokens.weight";
/// Final norm, without `.weight`.
pub(crate) const NORM: &str = "model.norm";
/// Output head.
pub(crate) const HEAD: &str = "lm_head.weight";
/// Its bias.
pub(crate) const HEAD_BIAS: &str = "lm_head.bias";

/// All needs of a spec, the experts last: everything else is read for every token.
pub(crate) fn needs(spec: &ModelSpec) -> Vec<Need> {
    let h = spec.hidden;
    let mut list = vec![matrix(EMBED.into(), spec.vocab, h)];
    let mut experts = Vec::new();
    for (i, l) in spec.layers.iter().enumerate() {
        let name = |part: &str| layer(i, part);
        norm(&mut list, spec, name("input_layernorm"));
        match &l.attention {
            Attention::Gqa(gqa) => grouped(&mut list, gqa, h, &name),
            Attention::Mla(mla) => latent(&mut list, mla, h, &name),
        }
        norm(&mut list, spec, name("post_attention_layernorm"));
        match &l.ffn {
            Ffn::Dense(width) => mlp(&mut list, &name("mlp"), *width, h),
            Ffn::Moe(moe) => {
                let mut parts = vec![(name(&format!("{}.weight", spec.names.router)), moe.experts)];
                if moe.shared_gate {
                    parts.push((name(&format!("{}.weight", spec.names.shared_gate)), 1));
                }
                list.push(Need::Router { parts, cols: h });
                if moe.bias {
                    list.push(vector(name(spec.names.correction), moe.experts));
                }
                experts.push(Need::Experts(group(spec, i, moe)));
            }
        }
    }
    norm(&mut list, spec, NORM.into());
    if !spec.tied {
        list.push(matrix(HEAD.into(), spec.vocab, h));
    }
    if spec.head_bias {
        list.push(vector(HEAD_BIAS.into(), spec.vocab));
    }
    list.extend(experts);
    list
}

/// What stacked tensors hold, by the names that the needs have.
pub(crate) fn views(spec: &ModelSpec) -> Vec<View> {
    let (Some(stacks), h) = (spec.names.stacks, spec.hidden) else { return Vec::new() };
    let mut views = Vec::new();
    for (i, l) in spec.layers.iter().enumerate() {
        let Ffn::Moe(moe) = &l.ffn else { continue };
        let group = group(spec, i, moe);
        let [gate, up, down] = group.roles;
        let (e, w, s) = (group.count, group.width, group.shared_width);
        let routed = |n, role: &str, rows| (format!("{}.{n}.{role}.weight", group.prefix), rows);
        let ups = (0..e).flat_map(|n| [routed(n, gate, w), routed(n, up, w)]).collect();
        views.push(View { of: layer(i, stacks.up), shape: vec![e, 2 * w, h], cuts: ups });
        let downs = (0..e).map(|n| routed(n, down, h)).collect();
        views.push(View { of: layer(i, stacks.down), shape: vec![e, h, w], cuts: downs });
        if s > 0 {
            let shared = |role: &str, rows| (format!("{}.{role}.weight", group.shared_prefix), rows);
            let of = layer(i, stacks.shared_up);
            views.push(View { of, shape: vec![2 * s, h], cuts: vec![shared(gate, s), shared(up, s)] });
            views.push(View { of: layer(i, stacks.shared_down), shape: vec![h, s], cuts: vec![shared(down, h)] });
        }
    }
    views
}

/// The experts of layer `i`.
fn group(spec: &ModelSpec, i: usize, moe: &Moe) -> Group {
    let Moe { experts, width, shared, shared_width, .. } = *moe;
    Group {
        prefix: layer(i, spec.names.experts),
        shared_prefix: layer(i, spec.names.shared),
        roles: spec.names.roles,
        count: experts,
        shared,
        shared_width,
        hidden: spec.hidden,
        width,
    }
}

fn grouped(list: &mut Vec<Need>, gqa: &Gqa, h: usize, name: &dyn Fn(&str) -> String) {
    let (q, kv) = (gqa.heads * gqa.head, gqa.kv_heads * gqa.head);
    let of = |end: &str| [("q", q), ("k", kv), ("v", kv)].map(|(p, n)| (name(&format!("self_attn.{p}_proj.{end}")), n));
    list.push(Need::Matrix { parts: of("weight").into(), cols: h });
    if gqa.bias {
        list.push(Need::Vector { parts: of("bias").into() });
    }
    list.push(matrix(name("self_attn.o_proj.weight"), h, q));
    if gqa.o_bias {
        list.push(vector(name("self_attn.o_proj.bias"), h));
    }
    let normed = match gqa.qk_norm {
        QkNorm::None => return,
        QkNorm::Head => [gqa.head, gqa.head],
        QkNorm::Whole => [q, kv],
    };
    list.push(vector(name("self_attn.q_norm.weight"), normed[0]));
    list.push(vector(name("self_attn.k_norm.weight"), normed[1]));
}

fn latent(list: &mut Vec<Need>, m: &Mla, h: usize, name: &dyn Fn(&str) -> String) {
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

/// A norm on the hidden size.
fn norm(list: &mut Vec<Need>, spec: &ModelSpec, name: String) {
    list.push(vector(format!("{name}.weight"), spec.hidden));
    if spec.layer_norm {
        list.push(vector(format!("{name}.bias"), spec.hidden));
    }
}

fn vector(name: String, len: usize) -> Need {
    Need::Vector { parts: vec![(name, len)] }
}

fn matrix(name: String, rows: usize, cols: usize) -> Need {
    Need::Matrix { parts: vec![(name, rows)], cols }
}

fn mlp(list: &mut Vec<Need>, at: &str, width: usize, hidden: usize) {
    let parts = ["gate_proj", "up_proj"].map(|p| (format!("{at}.{p}.weight"), width));
    list.push(Need::Matrix { parts: parts.into(), cols: hidden });
    list.push(matrix(format!("{at}.down_proj.weight"), hidden, width));
}
