//! Every tensor that a spec needs, by its public name and shape: the list that is checked, loaded and packed.

use crate::model::{Attention, Ffn, Gqa, Mla, ModelSpec, Moe, Names, QkNorm, Stacks};
use crate::weights::{Bias, Group, Split, View};

/// One tensor, or one layer's experts. Parts stand above or behind each other, each a name and its rows or length; the first
/// one's name is the need's own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Need {
    /// A vector kept in f32: a norm or a bias.
    Vector { parts: Vec<(String, usize)> },
    /// A matrix kept in f32: a router.
    Router { parts: Vec<(String, usize)>, cols: usize },
    /// A matrix in any format.
    Matrix { parts: Vec<(String, usize)>, cols: usize, split: Split },
    /// The experts of a layer.
    Experts(Group),
}

impl Need {
    /// The tensors that it takes, each by name and shape: `[n]` or `[rows, cols]`.
    pub(crate) fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let group = match self {
            Need::Vector { parts } => return parts.iter().map(|(name, len)| (name.clone(), vec![*len])).collect(),
            Need::Router { parts, cols } | Need::Matrix { parts, cols, .. } => {
                return parts.iter().map(|(name, rows)| (name.clone(), vec![*rows, *cols])).collect();
            }
            Need::Experts(group) => group,
        };
        let mut list = Vec::new();
        let each = 2 / group.ups.len();
        let shared = (group.shared > 0).then(|| (group.shared_prefix.clone(), group.shared_width));
        let routed = (0..group.count).map(|i| (format!("{}.{i}", group.prefix), group.width));
        for (name, width) in routed.chain(shared) {
            let ups = group.ups.iter().map(|up| (format!("{name}.{up}.weight"), vec![each * width, group.hidden]));
            list.extend(ups);
            list.push((format!("{name}.{}.weight", group.down), vec![group.hidden, width]));
            list.extend(group.biases(&name).into_iter().map(|(bias, len, _)| (bias, vec![len])));
        }
        list
    }
}

/// The name of a need of these parts: that of the first.
pub(crate) fn own_name(parts: &[(String, usize)]) -> &str {
    parts.first().map_or("", |(name, _)| name)
}

/// Names of a layer's tensors, as the families here have them in their public checkpoints.
pub(crate) fn layer(i: usize, part: &str) -> String {
    format!("model.layers.{i}.{part}")
}

/// Embedding table.
pub(crate) const EMBED: &str = "model.embed_tokens.weight";
/// Weights of a convolution `[H, K]`, which files have as `[H, 1, K]` under another name.
pub(crate) const TAPS: &str = "conv.conv.taps";
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
        norm(&mut list, spec, name(spec.names.attention_norm));
        match &l.attention {
            Attention::Gqa(gqa) => grouped(&mut list, &spec.names, gqa, h, &name),
            Attention::Mla(mla) => latent(&mut list, mla, h, &name),
            Attention::Conv(conv) => {
                list.push(matrix(name("conv.in_proj.weight"), 3 * h, h));
                list.push(Need::Router { parts: vec![(name(TAPS), h)], cols: conv.taps });
                list.push(matrix(name("conv.out_proj.weight"), h, h));
            }
        }
        norm(&mut list, spec, name(spec.names.ffn_norm));
        match &l.ffn {
            Ffn::Dense(width) => mlp(&mut list, &spec.names, &name(spec.names.mlp), *width, h),
            Ffn::Moe(moe) => {
                let mut parts = vec![(name(&format!("{}.weight", spec.names.router)), moe.experts)];
                if moe.shared_gate {
                    parts.push((name(&format!("{}.weight", spec.names.shared_gate)), 1));
                }
                list.push(Need::Router { parts, cols: h });
                if moe.logit_bias {
                    list.push(vector(name(&format!("{}.bias", spec.names.router)), moe.experts));
                }
                if moe.bias {
                    list.push(vector(name(spec.names.correction), moe.experts));
                }
                experts.push(Need::Experts(group(spec, i, moe)));
            }
        }
    }
    norm(&mut list, spec, spec.names.norm.into());
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
    let mut views = Vec::new();
    for (i, l) in spec.layers.iter().enumerate() {
        if let Attention::Conv(conv) = &l.attention {
            let (of, shape) = (layer(i, "conv.conv.weight"), vec![spec.hidden, 1, conv.taps]);
            views.push(View { of, shape, cuts: vec![(layer(i, TAPS), spec.hidden)], mxfp4: false });
        }
        let (Ffn::Moe(moe), Some(stacks)) = (&l.ffn, spec.names.stacks) else { continue };
        let group = group(spec, i, moe);
        let (e, h, w, s) = (group.count, group.hidden, group.width, group.shared_width);
        let each = 2 / group.ups.len();
        // Cuts of all gates and ups of an MLP of a width, and its downs.
        let ups = |at: &str, width| -> Vec<_> {
            group.ups.iter().map(|role| (format!("{at}.{role}.weight"), each * width)).collect()
        };
        let downs = |at: &str| (format!("{at}.{}.weight", group.down), h);
        let routed = |n| format!("{}.{n}", group.prefix);
        let (up, down, mxfp4) = match stacks {
            Stacks::Halves { up, down, .. } => (layer(i, up), layer(i, down), false),
            Stacks::Mxfp4 { up, down } => (layer(i, up), layer(i, down), true),
        };
        for (of, rows, bias) in [(&up, 2 * w, Bias::Up), (&down, h, Bias::Down)].into_iter().filter(|_| group.biased) {
            let named = |n| group.biases(&routed(n)).into_iter().filter(|b| b.2 == bias).map(|b| (b.0, 1));
            let cuts = (0..e).flat_map(named).collect();
            views.push(View { of: format!("{of}_bias"), shape: vec![e, rows], cuts, mxfp4: false });
        }
        let cuts = (0..e).flat_map(|n| ups(&routed(n), w)).collect();
        views.push(View { of: up, shape: vec![e, 2 * w, h], cuts, mxfp4 });
        let cuts = (0..e).map(|n| downs(&routed(n))).collect();
        views.push(View { of: down, shape: vec![e, h, w], cuts, mxfp4 });
        if let (Stacks::Halves { shared_up, shared_down, .. }, true) = (stacks, s > 0) {
            let (up, down) = (ups(&group.shared_prefix, s), vec![downs(&group.shared_prefix)]);
            views.push(View { of: layer(i, shared_up), shape: vec![2 * s, h], cuts: up, mxfp4 });
            views.push(View { of: layer(i, shared_down), shape: vec![h, s], cuts: down, mxfp4 });
        }
    }
    views
}

/// The experts of layer `i`.
fn group(spec: &ModelSpec, i: usize, moe: &Moe) -> Group {
    let Moe { experts, chosen, width, shared, shared_width, .. } = *moe;
    Group {
        prefix: layer(i, spec.names.experts),
        shared_prefix: layer(i, spec.names.shared),
        ups: spec.names.ups,
        down: spec.names.down,
        biased: moe.biased,
        count: experts,
        chosen,
        shared,
        shared_width,
        hidden: spec.hidden,
        width,
    }
}

fn grouped(list: &mut Vec<Need>, names: &Names, gqa: &Gqa, h: usize, name: &dyn Fn(&str) -> String) {
    let (q, kv) = (gqa.heads * gqa.head, gqa.kv_heads * gqa.head);
    let of = |end: &str| [("q", q), ("k", kv), ("v", kv)].map(|(p, n)| (name(&format!("self_attn.{p}_proj.{end}")), n));
    list.push(Need::Matrix { parts: of("weight").into(), cols: h, split: Split::Rows });
    if gqa.bias {
        list.push(Need::Vector { parts: of("bias").into() });
    }
    list.push(matrix(name(&format!("{}.weight", names.o)), h, q));
    if gqa.o_bias {
        list.push(vector(name(&format!("{}.bias", names.o)), h));
    }
    if gqa.sinks {
        list.push(vector(name("self_attn.sinks"), gqa.heads));
    }
    let normed = match gqa.qk_norm {
        QkNorm::None => return,
        QkNorm::Head => [gqa.head, gqa.head],
        QkNorm::Whole => [q, kv],
    };
    for (part, len) in names.qk_norms.iter().zip(normed) {
        list.push(vector(name(&format!("{part}.weight")), len));
    }
}

fn latent(list: &mut Vec<Need>, m: &Mla, h: usize, name: &dyn Fn(&str) -> String) {
    let queries = m.heads * (m.nope + m.rope);
    let down = match m.q_rank {
        Some(rank) => (name("self_attn.q_a_proj.weight"), rank),
        None => (name("self_attn.q_proj.weight"), queries),
    };
    let kv_a = (name("self_attn.kv_a_proj_with_mqa.weight"), m.rank + m.rope);
    list.push(Need::Matrix { parts: vec![down, kv_a], cols: h, split: Split::Rows });
    if let Some(rank) = m.q_rank {
        list.push(vector(name("self_attn.q_a_layernorm.weight"), rank));
        list.push(matrix(name("self_attn.q_b_proj.weight"), queries, rank));
    }
    list.push(vector(name("self_attn.kv_a_layernorm.weight"), m.rank));
    // Of this one keys and values are read by heads.
    let kv_b = vec![(name("self_attn.kv_b_proj.weight"), m.heads * (m.nope + m.value))];
    list.push(Need::Matrix { parts: kv_b, cols: m.rank, split: Split::No });
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
    Need::Matrix { parts: vec![(name, rows)], cols, split: Split::Rows }
}

fn mlp(list: &mut Vec<Need>, names: &Names, at: &str, width: usize, hidden: usize) {
    let parts = names.ups.iter().map(|p| (format!("{at}.{p}.weight"), width)).collect();
    list.push(Need::Matrix { parts, cols: hidden, split: Split::Gated });
    list.push(matrix(format!("{at}.{}.weight", names.down), hidden, width));
}
