//! What a family's configuration says about the computation: one spec for all families.

use crate::kernel::Settings;

/// A model's computation. Sizes are counts of floats unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Name of the family, as in the configuration's `model_type`.
    pub family: String,
    /// Hidden size, `H`.
    pub hidden: usize,
    /// Vocabulary, `V`.
    pub vocab: usize,
    /// Longest context the model was made for, in tokens (config `max_position_embeddings`).
    pub max_context: usize,
    /// Epsilon of the layer norms.
    pub eps: f32,
    /// Whether the output head is the embedding table.
    pub tied: bool,
    /// Rotary embedding.
    pub rope: Rope,
    /// Layers, first to last.
    pub layers: Vec<LayerSpec>,
    /// Ids that end an answer.
    pub eos: Vec<u32>,
    /// How tokens are chosen unless a request says otherwise.
    pub sampling: Settings,
}

/// One transformer layer: `x += attention(norm(x)); x += ffn(norm(x))`.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSpec {
    /// Attention.
    pub attention: Attention,
    /// Feed-forward.
    pub ffn: Ffn,
}

/// Attention of a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Attention {
    /// Grouped-query attention.
    Gqa {
        /// Query heads.
        heads: usize,
        /// Key-value heads.
        kv_heads: usize,
        /// Size of a head.
        head: usize,
        /// Whether queries and keys are normed by head before the rotation.
        qk_norm: bool,
        /// Positions a token sees, itself included; `None` for all before it.
        window: Option<usize>,
    },
    /// Multi-head latent attention.
    Mla(Mla),
}

/// Sizes of multi-head latent attention (DeepSeek-V2 §2.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Mla {
    /// Query heads.
    pub heads: usize,
    /// Query and key dimensions without position (config `qk_nope_head_dim`).
    pub nope: usize,
    /// Rotated dimensions (config `qk_rope_head_dim`).
    pub rope: usize,
    /// Value dimensions (config `v_head_dim`).
    pub value: usize,
    /// Latent dimensions of keys and values (config `kv_lora_rank`).
    pub rank: usize,
    /// Latent dimensions of queries (config `q_lora_rank`); `None` for one full projection.
    pub q_rank: Option<usize>,
    /// Factor of the scores, with the square of yarn's `mscale_all_dim` term where there is one.
    pub scale: f32,
}

/// Feed-forward of a layer.
#[derive(Clone, Debug, PartialEq)]
pub enum Ffn {
    /// One gated MLP of this width.
    Dense(usize),
    /// Routed experts.
    Moe(Moe),
}

/// Mixture of experts of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Moe {
    /// Routed experts, `E`.
    pub experts: usize,
    /// Experts chosen for a token, `k`.
    pub chosen: usize,
    /// Width of an expert, `I`.
    pub width: usize,
    /// Shared experts, `s`, each as wide as a routed one: every token has them.
    pub shared: usize,
    /// Scores are a sigmoid of each logit (else a softmax of all).
    pub sigmoid: bool,
    /// A correction bias is added to the scores for choosing.
    pub bias: bool,
    /// Groups of experts; 1 for none.
    pub groups: usize,
    /// Groups kept.
    pub top_groups: usize,
    /// Chosen weights are divided by their sum plus `eps`.
    pub normalise: bool,
    /// See `normalise`.
    pub eps: f32,
    /// Factor of the chosen weights.
    pub scale: f32,
}

/// Rotary position embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f64,
    /// Rotated dimensions of a head.
    pub dims: usize,
    /// Pairs are neighbours (else a half apart).
    pub interleaved: bool,
    /// How frequencies are stretched for contexts beyond training.
    pub scaling: RopeScaling,
}

/// Scaling of rotary frequencies.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// None.
    Plain,
    /// All frequencies divided by a factor.
    Linear(f64),
    /// YaRN (Peng et al. 2023).
    Yarn {
        /// Context stretch.
        factor: f64,
        /// Context before stretching.
        original: f64,
        /// Turns above which a frequency is kept.
        beta_fast: f64,
        /// Turns below which it is divided by `factor`.
        beta_slow: f64,
        /// Whether the corrections are rounded to whole dimensions.
        truncate: bool,
        /// Factor of cosines and sines.
        attention: f64,
    },
}
