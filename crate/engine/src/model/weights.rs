//! A model's weights on a device, by role. Which tensors they come from is the family's and the loader's matter.

use crate::device::{Buffer, Device};
use crate::error::Result;
use crate::model::{Ffn, Model};
use crate::weights::{ExpertLayout, Group, Matrix, Share};

impl Model {
    /// Bytes of weights that one token reads: all but the embedding table's other rows and the experts not chosen.
    #[must_use]
    pub fn bytes_per_token(&self) -> u64 {
        let embed = &self.weights.embed;
        let unread = if self.spec.tied { 0 } else { embed.bytes() - embed.bytes() / embed.rows.max(1) as u64 };
        let layers = self.weights.layers.iter().zip(&self.spec.layers);
        let idle = layers.map(|(layer, spec)| match (&layer.ffn, &spec.ffn) {
            (FfnWeights::Moe { experts, .. }, Ffn::Moe(moe)) => {
                let pools: u64 = experts.pools.iter().map(|pool| pool.records.bytes()).sum();
                pools.saturating_sub(experts.layout.bytes() * (moe.chosen + moe.shared) as u64)
            }
            _ => 0,
        });
        self.bytes.saturating_sub(unread).saturating_sub(idle.sum())
    }
}

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

/// Experts of a layer, the routed ones first: a pool of equal slots, each with the record of one, and a table from expert to slot.
#[derive(Clone)]
pub struct Experts {
    /// Slots `[E + s]`: index of each expert's record in the pools.
    pub slots: Buffer,
    /// The records; each pool has a share of every one where the device cannot bind all of them at once.
    pub pools: Vec<Pool>,
    /// Where things are in a whole record.
    pub layout: ExpertLayout,
    /// Records that there is room for.
    pub held: usize,
}

/// Records of a layer's experts, or a share of each.
#[derive(Clone)]
pub struct Pool {
    /// The records.
    pub records: Buffer,
    /// What they have of an expert.
    pub share: Share,
}

impl Experts {
    /// Room for the experts of a group, `held` of which fit, in the first of the slots.
    pub(super) fn reserve(device: &dyn Device, group: &Group, layout: ExpertLayout, held: usize) -> Result<Self> {
        let (prefix, all) = (&group.prefix, group.all());
        let shares = layout.shares(group, held, device.limits().binding).into_iter();
        let pool = |share: Share| {
            let records = device.buffer(prefix, share.layout.bytes().saturating_mul(held as u64))?;
            Ok(Pool { records, share })
        };
        let pools = shares.map(pool).collect::<Result<_>>()?;
        let slots = device.buffer(&format!("{prefix}.slots"), 4 * all as u64)?;
        // Where there are fewer slots, the first for experts that have none: a kernel never reads past the pool.
        let every: Vec<u32> = (0..all).map(|e| if e < held { e as u32 } else { 0 }).collect();
        device.write(&slots, 0, bytemuck::cast_slice(&every))?;
        Ok(Experts { slots, pools, layout, held })
    }

    /// Puts an expert's record into a slot.
    pub(super) fn put(&self, device: &dyn Device, group: &Group, slot: usize, record: &[u8]) -> Result<()> {
        self.pools.iter().try_for_each(|Pool { records, share }| {
            let part = share.of(&self.layout, record, [group.width, group.hidden]);
            device.write(records, share.layout.bytes() * slot as u64, &part)
        })
    }
}
