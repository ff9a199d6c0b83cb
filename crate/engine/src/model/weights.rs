//! A model's weights on a device, by role. Which tensors they come from is the family's and the loader's matter.

use crate::device::Buffer;
use crate::weights::{ExpertLayout, Matrix};

/// Everything a forward pass reads.
pub struct Weights {
    /// Embedding table `[V, H]`.
    pub embed: Matrix,
    /// Final norm.
    pub norm: Norm,
    /// Output head `[V, H]`; a clone of `embed` when tied.
    pub head: Matrix,
    /// Its bias `[V]`.
    pub head_bias: Option<Buffer>,
    /// Layers, first to last.
    pub layers: Vec<Layer>,
}

/// A norm: RMSNorm, or LayerNorm if it has a bias.
pub struct Norm {
    /// `[H]`.
    pub weight: Buffer,
    /// `[H]`.
    pub bias: Option<Buffer>,
}

/// One layer.
pub struct Layer {
    /// Norm before attention.
    pub attention_norm: Norm,
    /// Attention.
    pub attention: AttentionWeights,
    /// Norm before the feed-forward.
    pub ffn_norm: Norm,
    /// Feed-forward.
    pub ffn: FfnWeights,
}

/// Attention weights. What is read of one input is one matrix, its parts above each other.
pub enum AttentionWeights {
    /// Grouped-query attention.
    Gqa {
        /// Queries, keys and values `[(heads + 2·kv_heads)·head, H]`.
        qkv: Matrix,
        /// Its bias.
        bias: Option<Buffer>,
        /// Output `[H, heads·head]`.
        o: Matrix,
        /// Its bias `[H]`.
        o_bias: Option<Buffer>,
        /// Sinks `[heads]`.
        sinks: Option<Buffer>,
        /// Norms of queries and keys, of a head or of all.
        qk_norm: Option<(Buffer, Buffer)>,
    },
    /// Multi-head latent attention.
    Mla {
        /// Queries `[heads·(nope + rope), H]` or their latent `[q_rank, H]`, then latent and shared key `[rank + rope, H]`.
        down: Matrix,
        /// Queries from their latent, where they have one.
        queries: Option<LatentQueries>,
        /// Norm of the latent `[rank]`.
        kv_norm: Buffer,
        /// Keys and values from the latent `[heads·(nope + value), rank]`.
        kv_b: Matrix,
        /// Output `[H, heads·value]`.
        o: Matrix,
    },
    /// A short convolution.
    Conv {
        /// Two gates and the input `[3·H, H]`.
        input: Matrix,
        /// Weights of the positions `[H, K]`, in f32.
        taps: Matrix,
        /// Output `[H, H]`.
        output: Matrix,
    },
}

/// Queries from their latent.
pub struct LatentQueries {
    /// Norm of the latent `[q_rank]`.
    pub norm: Buffer,
    /// `[heads·(nope + rope), q_rank]`.
    pub up: Matrix,
}

/// Feed-forward weights.
pub enum FfnWeights {
    /// A gated MLP.
    Dense(Mlp),
    /// Routed experts, and shared ones behind them.
    Moe {
        /// Router `[E, H]`, and the shared experts' gate below it where there is one.
        router: Matrix,
        /// Bias of the logits `[E]`.
        logit_bias: Option<Buffer>,
        /// Correction bias `[E]`, zeros where the family has none.
        bias: Buffer,
        /// The experts.
        experts: Experts,
    },
}

/// A gated MLP: `down(silu(gate·x) ⊙ (up·x))`.
pub struct Mlp {
    /// Gate and up `[2·width, H]`.
    pub gate_up: Matrix,
    /// `[H, width]`.
    pub down: Matrix,
}

/// Experts of a layer, the routed ones first: a pool of equal slots, each a record of one, and a table from expert to slot.
#[derive(Clone)]
pub struct Experts {
    /// Slots `[E + s]`: index of each expert's record in the pool.
    pub slots: Buffer,
    /// The records.
    pub pool: Buffer,
    /// Where things are in a record.
    pub layout: ExpertLayout,
}
