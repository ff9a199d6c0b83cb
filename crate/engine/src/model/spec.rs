//! What a family's configuration says about the computation: one spec for all families.

use crate::kernel::Settings;
use crate::model::Names;

/// A model's computation. Sizes are counts of floats unless said otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Name of the family, as in the configuration's `model_type`.
    pub family: String,
    /// What its tensors are called.
    pub names: Names,
    /// Hidden size, `H`.
    pub hidden: usize,
    /// Vocabulary, `V`.
    pub vocab: usize,
    /// Longest context the model was made for, in tokens (config `max_position_embeddings`).
    pub max_context: usize,
    /// Epsilon of the layer norms.
    pub eps: f32,
    /// Whether norms are LayerNorm, with a bias (else RMSNorm).
    pub layer_norm: bool,
    /// Whether the output head is the embedding table.
    pub tied: bool,
    /// Whether it has a bias.
    pub head_bias: bool,
    /// Factor of embeddings (config `embedding_multiplier`).
    pub embed_scale: f32,
    /// Factor of what attention and feed-forward add to the residual stream (config `residual_multiplier`).
    pub residual_scale: f32,
    /// Factor of the logits (one over config `logits_scaling`).
    pub logit_scale: f32,
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

/// What lets the positions of a layer see each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Attention {
    /// Grouped-query attention.
    Gqa(Gqa),
    /// Multi-head latent attention.
    Mla(Mla),
    /// A short convolution, and no attention.
    Conv(Conv),
}

/// A gated short convolution (LFM2).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Positions a token sees, itself included (config `conv_L_cache`).
    pub taps: usize,
}

/// Grouped-query attention (Ainslie et al. 2023); with as many key-value heads as query heads, plain multi-head attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Gqa {
    /// Query heads.
    pub heads: usize,
    /// Key-value heads.
    pub kv_heads: usize,
    /// Size of a head.
    pub head: usize,
    /// How queries and keys are normed before the rotation.
    pub qk_norm: QkNorm,
    /// Queries, keys and values have biases.
    pub bias: bool,
    /// The output has one.
    pub o_bias: bool,
    /// Each head has a logit that takes part in the softmax and has no value.
    pub sinks: bool,
    /// Positions a token sees, itself included; `None` for all before it.
    pub window: Option<usize>,
    /// Factor of the scores.
    pub scale: f32,
}

/// Norm of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QkNorm {
    /// None.
    None,
    /// Each head by itself, with one weight for all heads.
    Head,
    /// All heads of a token together.
    Whole,
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
    /// Width of the one MLP that they are together; where it is no multiple of `width`, the last one is part zeros.
    pub shared_width: usize,
    /// What they make is multiplied by a sigmoid of the token.
    pub shared_gate: bool,
    /// Scores are a sigmoid of each logit (else a softmax of all).
    pub sigmoid: bool,
    /// The logits have a bias.
    pub logit_bias: bool,
    /// Experts have biases.
    pub biased: bool,
    /// Limit of gates and ups (config `swiglu_limit`), which are then put together as in gpt-oss; 0 for none.
    pub limit: f32,
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
    /// Tolerance of sparsemixer (config `router_jitter_noise`), which routes instead of all this if above 0.
    pub jitter: f32,
}

impl Moe {
    /// Routing by a softmax and no more, without shared experts.
    #[must_use]
    pub fn softmax(experts: usize, chosen: usize, width: usize, normalise: bool) -> Self {
        Moe {
            experts,
            chosen,
            width,
            shared: 0,
            shared_width: 0,
            shared_gate: false,
            sigmoid: false,
            logit_bias: false,
            biased: false,
            limit: 0.0,
            bias: false,
            groups: 1,
            top_groups: 1,
            normalise,
            eps: 0.0,
            scale: 1.0,
            jitter: 0.0,
        }
    }

    /// The same with shared experts that are together one MLP of this width.
    #[must_use]
    pub fn sharing(self, shared_width: usize) -> Self {
        Moe { shared: shared_width.div_ceil(self.width), shared_width, ..self }
    }
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
    /// By wavelength (Llama 3.1): short ones are kept, long ones divided by a factor, those between in between.
    Llama3 {
        /// Context stretch.
        factor: f64,
        /// Context before stretching, in whose turns the bounds are.
        original: f64,
        /// Turns below which a frequency is divided (config `low_freq_factor`).
        low: f64,
        /// Turns above which it is kept (config `high_freq_factor`).
        high: f64,
    },
    /// Each frequency divided by a factor of its own (LongRoPE, Ding et al. 2024): by one list for contexts as long as in
    /// training, and by another for longer ones, even for their first tokens.
    Long {
        /// Longest context of the first list.
        original: f64,
        /// Factors up to it, one a pair.
        short: Vec<f64>,
        /// Factors beyond it.
        long: Vec<f64>,
        /// Factor of cosines and sines up to it.
        short_scale: f64,
        /// Factor beyond it.
        long_scale: f64,
    },
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
