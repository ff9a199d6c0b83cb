//! A model's weights on a device, by role. Which tensors they come from is the family's and the loader's matter.

use crate::device::Buffer;
use crate::weights::{ExpertLayout, Matrix};

/// Everything a forward pass reads.
pub struct Weights {
    /// Embedding table `[V, H]`.
    pub embed: Matrix,
    /// Final norm `[H]`.
    pub norm: Buffer,
    /// Output head `[V, H]`; a clone of `embed` when tied.
    pub head: Matrix,
    /// Layers, first to last.
    pub layers: Vec<Layer>,
}

/// One layer.
pub struct Layer {
    /// Norm before attention `[H]`.
    pub attention_norm: Buffer,
    /// Attention.
    pub attention: AttentionWeights,
    /// Norm before the feed-forward `[H]`.
    pub ffn_norm: Buffer,
    /// Feed-forward.
    pub ffn: FfnWeights,
}

/// Attention weights.
pub enum AttentionWeights {
    /// Grouped-query attention.
    Gqa {
        /// Queries `[heads·head, H]`.
        q: Matrix,
        /// Keys `[kv_heads·head, H]`.
        k: Matrix,
        /// Values `[kv_heads·head, H]`.
        v: Matrix,
        /// Output `[H, heads·head]`.
        o: Matrix,
        /// Head norms of queries and keys `[head]`.
        qk_norm: Option<(Buffer, Buffer)>,
    },
    /// Multi-head latent attention.
    Mla {
        /// Queries.
        q: QueryWeights,
        /// Latent and rotated key `[rank + rope, H]`.
        kv_a: Matrix,
        /// Norm of the latent `[rank]`.
        kv_norm: Buffer,
        /// Keys and values from the latent `[heads·(nope + value), rank]`.
        kv_b: Matrix,
        /// Output `[H, heads·value]`.
        o: Matrix,
    },
}

/// Query projection of latent attention.
pub enum QueryWeights {
    /// One matrix `[heads·(nope + rope), H]`.
    Full(Matrix),
    /// Through a normed latent.
    LowRank {
        /// Into the latent `[q_rank, H]`.
        a: Matrix,
        /// Norm of the latent `[q_rank]`.
        norm: Buffer,
        /// Out of it `[heads·(nope + rope), q_rank]`.
        b: Matrix,
    },
}

/// Feed-forward weights.
pub enum FfnWeights {
    /// A gated MLP.
    Dense(Mlp),
    /// Routed experts, and shared ones as one MLP.
    Moe {
        /// Router `[E, H]`.
        router: Matrix,
        /// Correction bias `[E]`, zeros where the family has none.
        bias: Buffer,
        /// The experts.
        experts: Experts,
        /// Shared experts.
        shared: Option<Mlp>,
    },
}

/// A gated MLP: `down(silu(gate·x) ⊙ (up·x))`.
pub struct Mlp {
    /// `[width, H]`.
    pub gate: Matrix,
    /// `[width, H]`.
    pub up: Matrix,
    /// `[H, width]`.
    pub down: Matrix,
}

/// Routed experts of a layer: a pool of equal slots, each a record of one expert, and a table from expert to slot.
pub struct Experts {
    /// Slots `[E]`: index of each expert's record in the pool.
    pub slots: Buffer,
    /// The records.
    pub pool: Buffer,
    /// Where things are in a record.
    pub layout: ExpertLayout,
}
