//! A model: a spec, its weights on a device, and the plan of its forward pass.

mod cache;
mod chosen;
mod config;
mod deepseek;
mod deepseek_v2;
mod deepseek_v3;
mod family;
mod files;
mod forward;
mod layers;
mod load;
mod needs;
mod pack;
mod qwen3;
mod qwen3_moe;
mod rope;
mod rope_config;
mod spec;
mod weights;

pub use cache::Cache;
pub use chosen::Fallback;
pub use family::{Family, MODELS};
pub use files::Files;
pub use forward::{Forward, Logits, Steps};
pub use load::{LoadOptions, Model, Pending, Progress, Stage};
pub use pack::pack;
pub use rope::rope_table;
pub use spec::{Attention, Ffn, LayerSpec, Mla, ModelSpec, Moe, Rope, RopeScaling};
pub use weights::{AttentionWeights, Experts, FfnWeights, LatentQueries, Layer, Mlp, Weights};

pub use crate::weights::{ExpertLayout, Matrix};
