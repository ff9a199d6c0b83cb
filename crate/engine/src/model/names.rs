//! Names of tensors in a family's public checkpoints: most families share most of them.

/// What a family calls its tensors. Those of a layer stand behind `model.layers.N.`; what is a projection has `.weight` and
/// perhaps `.bias` behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// Final norm, without `.weight`.
    pub norm: &'static str,
    /// Norm before attention, likewise.
    pub attention_norm: &'static str,
    /// Norm before the feed-forward, likewise.
    pub ffn_norm: &'static str,
    /// Output of attention, likewise.
    pub o: &'static str,
    /// Norms of queries and keys, likewise.
    pub qk_norms: [&'static str; 2],
    /// The MLP of a dense layer.
    pub mlp: &'static str,
    /// Router `[E, H]`, without `.weight`.
    pub router: &'static str,
    /// Correction bias of the router `[E]`.
    pub correction: &'static str,
    /// Gate of the shared experts `[1, H]`, without `.weight`.
    pub shared_gate: &'static str,
    /// Routed experts are numbered behind this.
    pub experts: &'static str,
    /// The MLP that shared experts are.
    pub shared: &'static str,
    /// Gate and up of an MLP, or the one matrix that has their rows by turns.
    pub ups: &'static [&'static str],
    /// Down of an MLP.
    pub down: &'static str,
    /// Tensors that hold several of the others; see [`Stacks`].
    pub stacks: Option<Stacks>,
}

/// Tensors that hold all experts of a layer, where files have those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stacks {
    /// Gates above ups `[E, 2I, H]`, and downs `[E, H, I]`; of shared experts `[2S, H]` and `[H, S]`.
    Halves {
        /// Gates and ups of the routed experts.
        up: &'static str,
        /// Downs of the routed experts.
        down: &'static str,
        /// Gates and ups of the shared ones.
        shared_up: &'static str,
        /// Down of the shared ones.
        shared_down: &'static str,
    },
    /// The same shapes with gates and ups by turns, as `_blocks` and `_scales` of MXFP4 and `_bias`.
    Mxfp4 {
        /// Gates and ups.
        up: &'static str,
        /// Downs.
        down: &'static str,
    },
}

impl Names {
    /// Those of Qwen's families, which DeepSeek's have too.
    pub(crate) const USUAL: Names = Names {
        norm: "model.norm",
        attention_norm: "input_layernorm",
        ffn_norm: "post_attention_layernorm",
        o: "self_attn.o_proj",
        qk_norms: ["self_attn.q_norm", "self_attn.k_norm"],
        mlp: "mlp",
        router: "mlp.gate",
        correction: "mlp.gate.e_score_correction_bias",
        shared_gate: "mlp.shared_expert_gate",
        experts: "mlp.experts",
        shared: "mlp.shared_experts",
        ups: &["gate_proj", "up_proj"],
        down: "down_proj",
        stacks: None,
    };
}
