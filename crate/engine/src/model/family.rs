//! Model families: what turns a configuration into a spec. Adding one is a file and a line here.

use std::ops::RangeInclusive;

use crate::error::{Error, Result};
use crate::format::TILE;
use crate::kernel::Settings;
use crate::model::config::{Config, limit};
use crate::model::{
    ModelSpec, Names, Rope, deepseek_v2, deepseek_v3, ernie4_5_moe, gpt_oss, granitemoe, lfm2_moe, llama, mixtral,
    olmoe, phimoe, qwen2, qwen2_moe, qwen3, qwen3_moe,
};

/// A family of checkpoints.
pub struct Family {
    /// Its `model_type` in configurations.
    pub model_type: &'static str,
    /// Reads its configuration.
    pub(crate) spec: fn(&Config) -> Result<ModelSpec>,
}

/// Every family.
pub static MODELS: [Family; 15] = [
    Family { model_type: "deepseek_v2", spec: deepseek_v2::spec },
    Family { model_type: "deepseek_v3", spec: deepseek_v3::spec },
    Family { model_type: "ernie4_5_moe", spec: ernie4_5_moe::spec },
    Family { model_type: "gpt_oss", spec: gpt_oss::spec },
    Family { model_type: "granitemoe", spec: granitemoe::spec },
    Family { model_type: "granitemoeshared", spec: granitemoe::spec },
    Family { model_type: "lfm2_moe", spec: lfm2_moe::spec },
    Family { model_type: "llama", spec: llama::spec },
    Family { model_type: "mixtral", spec: mixtral::spec },
    Family { model_type: "olmoe", spec: olmoe::spec },
    Family { model_type: "phimoe", spec: phimoe::spec },
    Family { model_type: "qwen2", spec: qwen2::spec },
    Family { model_type: "qwen2_moe", spec: qwen2_moe::spec },
    Family { model_type: "qwen3", spec: qwen3::spec },
    Family { model_type: "qwen3_moe", spec: qwen3_moe::spec },
];

/// Most routed experts of all layers together; the largest public model has about 23,000.
const ALL_EXPERTS: u64 = 65_536;

/// The spec of a configuration, by its `model_type`; end tokens from `generation` too, and how tokens are chosen.
pub(crate) fn read_spec(config: &Config, generation: Option<&Config>) -> Result<ModelSpec> {
    let name = config.text("model_type")?.ok_or_else(|| config.wrong("model_type", "is missing"))?;
    let Some(family) = MODELS.iter().find(|f| f.model_type == name) else {
        let known: Vec<_> = MODELS.iter().map(|f| f.model_type).collect();
        return Err(config.unsupported("model_type", &format!("known are {}", known.join(", "))));
    };
    if let Some(quantised) = config.object("quantization_config")? {
        match quantised.text("quant_method")? {
            // The family asks for the tensors that go with it.
            Some("mxfp4") if name == "gpt_oss" => {}
            _ => eight_bits(&quantised)?,
        }
    }
    config.only("hidden_act", "silu", "feed-forwards are gated by silu")?;
    let mut spec = (family.spec)(config)?;
    let mut eos = config.list("eos_token_id", spec.vocab)?;
    if let Some(generation) = generation {
        eos.extend(generation.list("eos_token_id", spec.vocab)?);
        spec.sampling = sampling(generation)?;
    }
    eos.sort_unstable();
    eos.dedup();
    spec.eos = eos.into_iter().map(|id| id as u32).collect();
    Ok(spec)
}

/// Refuses quantised weights other than DeepSeek's: e4m3 in tiles. The activations' scheme is for devices that multiply in
/// eight bits; products here are f32, and which tensors are e4m3 is said by their types.
fn eight_bits(quantised: &Config) -> Result<()> {
    const MISSING: &str = "weights are read as f32, f16, bf16 or fp8 (e4m3) in tiles of 128 by 128, or from a pack";
    if quantised.text("quant_method")? != Some("fp8") {
        return Err(quantised.unsupported("quant_method", MISSING));
    }
    quantised.only("fmt", "e4m3", MISSING)?;
    if quantised.list("weight_block_size", 1 << 16)? != [TILE, TILE] {
        return Err(quantised.unsupported("weight_block_size", MISSING));
    }
    Ok(())
}

/// How a generation configuration has tokens chosen. What it leaves open is the model's own distribution.
fn sampling(generation: &Config) -> Result<Settings> {
    let number = |key, range: RangeInclusive<f32>| {
        let number = generation.number(key, f64::from(*range.start()), f64::from(*range.end()))?;
        Ok(number.map(|n| n as f32))
    };
    let plain = Settings::default();
    let settings = Settings {
        temperature: number("temperature", Settings::TEMPERATURE)?.unwrap_or(plain.temperature),
        top_k: generation.count("top_k", limit::VOCAB)?.map_or(plain.top_k, |k| k as u32),
        top_p: number("top_p", Settings::SHARE)?.unwrap_or(plain.top_p),
        min_p: number("min_p", Settings::SHARE)?.unwrap_or(plain.min_p),
        repetition_penalty: number("repetition_penalty", Settings::PENALTY)?.unwrap_or(plain.repetition_penalty),
    };
    let temperature = if generation.flag("do_sample", true)? { settings.temperature } else { 0.0 };
    Ok(Settings { temperature, ..settings })
}

/// The parts of a spec that families share; layers are added by the family.
pub(crate) fn common(config: &Config, family: &str, rope: Rope) -> Result<ModelSpec> {
    Ok(ModelSpec {
        family: family.into(),
        names: Names::USUAL,
        hidden: config.size("hidden_size", limit::HIDDEN)?,
        vocab: config.size("vocab_size", limit::VOCAB)?,
        max_context: config.size("max_position_embeddings", limit::CONTEXT)?,
        eps: eps(config, 1e-6)?,
        layer_norm: false,
        head_bias: false,
        tied: config.flag("tie_word_embeddings", false)?,
        embed_scale: 1.0,
        residual_scale: 1.0,
        logit_scale: 1.0,
        rope,
        layers: Vec::new(),
        eos: Vec::new(),
        sampling: Settings::default(),
    })
}

/// Epsilon of the norms, in most families a millionth where a configuration does not say.
pub(crate) fn eps(config: &Config, absent: f64) -> Result<f32> {
    Ok(config.number("rms_norm_eps", 0.0, 1.0)?.unwrap_or(absent) as f32)
}

/// Number of layers, bounded also by the experts they have together.
pub(crate) fn layers(config: &Config, experts: usize) -> Result<usize> {
    let layers = config.size("num_hidden_layers", limit::LAYERS)?;
    let value = layers as u64 * experts as u64;
    if value > ALL_EXPERTS {
        return Err(Error::Limit { what: "routed experts of all layers".into(), value, limit: ALL_EXPERTS });
    }
    Ok(layers)
}
