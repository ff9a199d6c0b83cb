//! A model: a spec, its weights on a device, and the plan of its forward pass.

mod cache;
mod chosen;
mod config;
mod deepseek;
mod deepseek_v2;
mod deepseek_v3;
mod ernie4_5_moe;
mod family;
mod files;
mod forward;
mod gguf;
mod gpt_oss;
mod granitemoe;
mod grouped;
mod layers;
mod lfm2_moe;
mod llama;
mod load;
mod mixtral;
mod names;
mod needs;
mod olmoe;
mod pack;
mod phimoe;
mod qwen2;
mod qwen2_moe;
mod qwen3;
mod qwen3_moe;
mod random;
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
pub use names::{Names, Stacks};
pub use pack::pack;
pub use rope::rope_table;
pub use spec::{Attention, Conv, Ffn, Gqa, LayerSpec, Mla, ModelSpec, Moe, QkNorm, Rope, RopeScaling};
pub use weights::{AttentionWeights, Experts, FfnWeights, LatentQueries, Layer, Mlp, Norm, Weights};

pub use crate::weights::{ExpertLayout, Matrix};
