//! From a model's folder to a model on a device.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::device::{Buffer, Device};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::model::chosen::{Choice, Chosen};
use crate::model::config::Config;
use crate::model::family::read_spec;
use crate::model::gguf;
use crate::model::layers::MATVEC_TOKENS;
use crate::model::needs::{self, layer, needs, own_name, views};
use crate::model::{
    Attention, AttentionWeights, Experts, Fallback, Ffn, FfnWeights, Files, Gqa, LatentQueries, Layer, Mlp, ModelSpec,
    Names, Norm, Prefix, QkNorm, Residency, Room, Weights,
};
use crate::source::Source;
use crate::weights::{Matrix, Precision, Tensors, Verified};

/// Name of the configuration file.
pub(crate) const CONFIG: &str = "config.json";
/// Context held unless asked otherwise, in tokens: its cache is small beside any model.
const CONTEXT: usize = 4096;

/// How to load a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// Precision of the matrices.
    pub precision: Precision,
    /// Tokens of context; by default 4,096, or fewer if the model was made for fewer.
    pub context: Option<usize>,
    /// What keys and values are kept in, f32 or f16; by default what suits the device.
    pub cache: Option<Format>,
}

/// What is being loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Weights that every token reads.
    Trunk,
    /// Routed experts.
    Experts,
}

/// How far loading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being loaded.
    pub stage: Stage,
    /// Bytes of the files used so far.
    pub done: u64,
    /// Bytes of the files that will be used.
    pub total: u64,
}

/// A model on a device.
pub struct Model {
    /// Its computation.
    pub spec: ModelSpec,
    /// Its weights.
    pub weights: Weights,
    /// The device they are on.
    pub device: Rc<dyn Device>,
    /// Tokens of context to hold.
    pub context: usize,
    /// What keys and values are to be kept in: see [`crate::model::Cache::format`].
    pub cache: Format,
    /// Texts beside the weights.
    pub files: Files,
    /// Bytes of weights on the device.
    pub bytes: u64,
    /// Matrices that could not have the precision asked for.
    pub fallbacks: Vec<Fallback>,
    /// Its experts, where not all of them were there when it was loaded.
    pub residency: Option<Rc<Residency>>,
    /// A conversation's beginning that came with it; the first session that is made of it begins with that.
    pub prefix: Option<Prefix>,
}

impl Model {
    /// Loads the model in `source`: a checkpoint's folder or a pack. Everything is checked before memory is taken:
    /// the configuration, every tensor's shape against it, and sizes against the device.
    pub async fn load(
        source: &dyn Source,
        device: Rc<dyn Device>,
        options: &LoadOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Model> {
        let (model, pending) = Model::reserve(source, device, options).await?;
        pending.load(progress).await?;
        Ok(model)
    }

    /// The same in two: memory first, whose weights are zero, and then, beside whatever else there is to do, the bytes.
    pub async fn reserve<'a>(
        source: &'a dyn Source,
        device: Rc<dyn Device>,
        options: &LoadOptions,
    ) -> Result<(Model, Pending<'a>)> {
        Model::reserve_in(gguf::folder(Rc::new(source)).await?, device, options, Box::new(|_| Ok(())), &mut |_| {})
            .await
    }

    /// The same of a model whose experts come when they are needed, and have no more than `room`. What is pending is all the
    /// rest; then it answers. `texts` is called before memory is taken for weights, which then go where what it made for a while was.
    pub async fn stream(
        source: Rc<dyn Source>,
        device: Rc<dyn Device>,
        options: &LoadOptions,
        room: Room,
        texts: &mut dyn FnMut(&mut Files),
    ) -> Result<(Model, Pending<'static>)> {
        let fit: Fit = Box::new(move |choice| choice.fit(room));
        let folder = gguf::folder(source).await?;
        let (mut model, mut pending) = Model::reserve_in(folder, device, options, fit, texts).await?;
        let (experts, rest) = pending.list.into_iter().partition(|(chosen, _)| stage(chosen) == Stage::Experts);
        (pending.list, pending.total) = (rest, pending.trunk);
        let layers = Vec::<(Chosen, Place)>::into_iter(experts).filter_map(|both| match both {
            (Chosen::Experts { group, .. }, Place::Experts(experts)) => Some((group, experts)),
            _ => None,
        });
        model.residency = Some(Rc::new(Residency::new(pending.tensors.clone(), pending.device.clone(), layers)));
        Ok((model, pending))
    }

    /// Whether all its weights are on the device, or what `reserve` left pending was brought.
    #[must_use]
    pub fn whole(&self) -> bool {
        self.residency.as_ref().is_none_or(|residency| residency.whole())
    }

    /// The most tokens to play at once, of `most`: where experts may be missing, a few at once would need a slot for each of theirs,
    /// while many take turns.
    #[must_use]
    pub fn chunk(&self, most: usize) -> usize {
        if self.residency.is_some() && most <= MATVEC_TOKENS { 1 } else { most }
    }

    async fn reserve_in<'a>(
        mut folder: Verified<'a>,
        device: Rc<dyn Device>,
        options: &LoadOptions,
        fit: Fit,
        texts: &mut dyn FnMut(&mut Files),
    ) -> Result<(Model, Pending<'a>)> {
        let (spec, mut files) = read_model(&folder).await?;
        // They were read.
        folder.texts.clear();
        let context = context(&spec, options)?;
        let tensors = Rc::new(open(folder, &spec).await?);
        let mut choice = Choice::new(&tensors.index, needs(&spec), options.precision)?;
        fit(&mut choice)?;
        let (total, trunk) = (choice.stored, choice.trunk);
        texts(&mut files);
        let prefix = Prefix::read(&tensors.files, &spec, context).await?;
        let (model, list) = place(choice, (spec, files), device.clone(), context, options.cache)?;
        let model = Model { prefix, ..model };
        Ok((model, Pending { tensors, device, list, total, trunk }))
    }
}

/// Makes a choice smaller.
type Fit = Box<dyn FnOnce(&mut Choice) -> Result<()>>;

/// A model with memory for what was chosen, and where each of it goes.
pub(super) fn place(
    choice: Choice,
    (spec, files): (ModelSpec, Files),
    device: Rc<dyn Device>,
    context: usize,
    cache: Option<Format>,
) -> Result<(Model, Vec<(Chosen, Place)>)> {
    choice.fits(device.limits())?;
    let mut reserved = Reserved::default();
    let mut list = Vec::with_capacity(choice.list.len());
    for chosen in choice.list {
        let place = reserved.add(device.as_ref(), &chosen)?;
        list.push((chosen, place));
    }
    let weights = reserved.assemble(device.as_ref(), &spec)?;
    let cache = cache.unwrap_or(device.limits().cache);
    let (bytes, fallbacks, residency) = (choice.bytes, choice.fallbacks, None);
    let model = Model { spec, weights, device, context, cache, files, bytes, fallbacks, residency, prefix: None };
    Ok((model, list))
}

/// Weights that are still to come to a device.
pub struct Pending<'a> {
    tensors: Rc<Tensors<'a>>,
    device: Rc<dyn Device>,
    list: Vec<(Chosen, Place)>,
    total: u64,
    /// Bytes of what is not experts.
    trunk: u64,
}

/// Where weights go.
pub(super) enum Place {
    Vector(Buffer),
    Matrix(Matrix),
    Experts(Experts),
}

impl Pending<'_> {
    /// Brings them, in the order of need.
    pub async fn load(self, progress: &mut dyn FnMut(Progress)) -> Result<()> {
        let (device, mut done) = (self.device.as_ref(), 0);
        for (chosen, place) in &self.list {
            let stage = stage(chosen);
            let mut on_read = |bytes| {
                done += bytes;
                progress(Progress { stage, done, total: self.total });
            };
            match (chosen, place) {
                (Chosen::Vector { parts }, Place::Vector(vector)) => {
                    self.tensors.vector(device, parts, vector, &mut on_read).await?;
                }
                (Chosen::Matrix { parts, .. }, Place::Matrix(matrix)) => {
                    self.tensors.matrix(device, parts, matrix, &mut on_read).await?;
                }
                (Chosen::Experts { group, .. }, Place::Experts(experts)) => {
                    for i in 0..group.all() {
                        let record = self.tensors.record(group, i, &experts.layout, &mut on_read).await?;
                        experts.put(device, group, i, &record)?;
                    }
                }
                _ => unreachable!("a place is made for what goes there"),
            }
        }
        Ok(())
    }
}

fn stage(chosen: &Chosen) -> Stage {
    if matches!(chosen, Chosen::Experts { .. }) { Stage::Experts } else { Stage::Trunk }
}

/// Configuration and texts of a model's folder.
pub(crate) async fn read_model(source: &dyn Source) -> Result<(ModelSpec, Files)> {
    let config = Config::read(source, CONFIG).await?;
    let files = Files::of(source).await?;
    let generation = files.generation_config.as_ref();
    let generation = generation.map(|text| Config::parse("generation_config.json", text.as_bytes())).transpose()?;
    Ok((read_spec(&config, generation.as_ref())?, files))
}

/// The tensors of a model, by the names that its needs have.
pub(crate) async fn open<'a>(folder: Verified<'a>, spec: &ModelSpec) -> Result<Tensors<'a>> {
    if !folder.gguf.is_empty() {
        return Ok(Tensors { index: gguf::index(&folder, spec)?, files: folder });
    }
    let mut tensors = Tensors::open(folder).await?;
    for view in views(spec) {
        tensors.index.view(&view)?;
    }
    Ok(tensors)
}

pub(super) fn context(spec: &ModelSpec, options: &LoadOptions) -> Result<usize> {
    let context = options.context.unwrap_or(CONTEXT.min(spec.max_context));
    if context == 0 {
        return Err(Error::Request { field: "context".into(), reason: "is 0 tokens".into() });
    }
    if context > spec.max_context {
        let (value, limit) = (context as u64, spec.max_context as u64);
        return Err(Error::Limit { what: "context in tokens".into(), value, limit });
    }
    Ok(context)
}

/// Weights on the device by name, of matrices that of their first tensor, until each finds its role.
#[derive(Default)]
struct Reserved {
    matrices: BTreeMap<String, Matrix>,
    vectors: BTreeMap<String, Buffer>,
    experts: BTreeMap<String, Experts>,
}

impl Reserved {
    /// Takes memory for what was chosen.
    fn add(&mut self, device: &dyn Device, chosen: &Chosen) -> Result<Place> {
        Ok(match chosen {
            Chosen::Vector { parts } => {
                let name = own_name(parts);
                let vector = device.buffer(name, parts.iter().map(|(_, len)| 4 * *len as u64).sum())?;
                self.vectors.insert(name.to_owned(), vector.clone());
                Place::Vector(vector)
            }
            Chosen::Matrix { parts, cols, format, split } => {
                let name = own_name(parts);
                let rows = parts.iter().map(|(_, rows)| rows).sum();
                let matrix = Matrix::reserve(device, name, *format, [rows, *cols], *split)?;
                self.matrices.insert(name.to_owned(), matrix.clone());
                Place::Matrix(matrix)
            }
            Chosen::Experts { group, layout, slots } => {
                let experts = Experts::reserve(device, group, *layout, *slots)?;
                self.experts.insert(group.prefix.clone(), experts.clone());
                Place::Experts(experts)
            }
        })
    }

    fn matrix(&mut self, name: &str) -> Result<Matrix> {
        self.matrices.remove(name).ok_or_else(|| absent(name))
    }

    fn vector(&mut self, name: &str) -> Result<Buffer> {
        self.vectors.remove(name).ok_or_else(|| absent(name))
    }

    fn norm(&mut self, spec: &ModelSpec, name: &str) -> Result<Norm> {
        let bias = spec.layer_norm.then(|| self.vector(&format!("{name}.bias"))).transpose()?;
        Ok(Norm { weight: self.vector(&format!("{name}.weight"))?, bias })
    }

    fn mlp(&mut self, names: &Names, at: &str) -> Result<Mlp> {
        let name = |role: &str| format!("{at}.{role}.weight");
        Ok(Mlp {
            gate_up: self.matrix(&name(names.ups.first().unwrap_or(&"")))?,
            down: self.matrix(&name(names.down))?,
        })
    }

    /// Gives each weight its role.
    fn assemble(mut self, device: &dyn Device, spec: &ModelSpec) -> Result<Weights> {
        let embed = self.matrix(needs::EMBED)?;
        let head = if spec.tied { embed.clone() } else { self.matrix(needs::HEAD)? };
        let head_bias = spec.head_bias.then(|| self.vector(needs::HEAD_BIAS)).transpose()?;
        let norm = self.norm(spec, spec.names.norm)?;
        let mut layers = Vec::with_capacity(spec.layers.len());
        for (i, l) in spec.layers.iter().enumerate() {
            let attention = match &l.attention {
                Attention::Gqa(gqa) => self.gqa(i, &spec.names, gqa)?,
                Attention::Mla(mla) => self.mla(i, mla.q_rank.is_some())?,
                Attention::Conv(_) => AttentionWeights::Conv {
                    input: self.matrix(&layer(i, "conv.in_proj.weight"))?,
                    taps: self.matrix(&layer(i, needs::TAPS))?,
                    output: self.matrix(&layer(i, "conv.out_proj.weight"))?,
                },
            };
            let ffn = match &l.ffn {
                Ffn::Dense(_) => FfnWeights::Dense(self.mlp(&spec.names, &layer(i, spec.names.mlp))?),
                Ffn::Moe(moe) => {
                    let router = self.matrix(&layer(i, &format!("{}.weight", spec.names.router)))?;
                    let logit_bias = layer(i, &format!("{}.bias", spec.names.router));
                    let logit_bias = moe.logit_bias.then(|| self.vector(&logit_bias)).transpose()?;
                    let bias = layer(i, spec.names.correction);
                    let bias =
                        if moe.bias { self.vector(&bias)? } else { device.buffer(&bias, 4 * moe.experts as u64)? };
                    let prefix = layer(i, spec.names.experts);
                    let experts = self.experts.remove(&prefix).ok_or_else(|| absent(&prefix))?;
                    FfnWeights::Moe { router, logit_bias, bias, experts }
                }
            };
            layers.push(Layer {
                attention_norm: self.norm(spec, &layer(i, spec.names.attention_norm))?,
                attention,
                ffn_norm: self.norm(spec, &layer(i, spec.names.ffn_norm))?,
                ffn,
            });
        }
        Ok(Weights { embed, norm, head, head_bias, layers })
    }

    fn gqa(&mut self, i: usize, names: &Names, gqa: &Gqa) -> Result<AttentionWeights> {
        let name = |part: &str| layer(i, part);
        let mut vector = |wanted: bool, part: &str| wanted.then(|| self.vector(&name(part))).transpose();
        let normed = gqa.qk_norm != QkNorm::None;
        let [q_norm, k_norm] = names.qk_norms.map(|part| vector(normed, &format!("{part}.weight")));
        Ok(AttentionWeights::Gqa {
            bias: vector(gqa.bias, "self_attn.q_proj.bias")?,
            o_bias: vector(gqa.o_bias, &format!("{}.bias", names.o))?,
            sinks: vector(gqa.sinks, "self_attn.sinks")?,
            qk_norm: q_norm?.zip(k_norm?),
            qkv: self.matrix(&name("self_attn.q_proj.weight"))?,
            o: self.matrix(&name(&format!("{}.weight", names.o)))?,
        })
    }

    fn mla(&mut self, i: usize, low_rank: bool) -> Result<AttentionWeights> {
        let name = |part: &str| layer(i, &format!("self_attn.{part}.weight"));
        let (down, queries) = if low_rank {
            let (norm, up) = (self.vector(&name("q_a_layernorm"))?, self.matrix(&name("q_b_proj"))?);
            (self.matrix(&name("q_a_proj"))?, Some(LatentQueries { norm, up }))
        } else {
            (self.matrix(&name("q_proj"))?, None)
        };
        Ok(AttentionWeights::Mla {
            down,
            queries,
            kv_norm: self.vector(&name("kv_a_layernorm"))?,
            kv_b: self.matrix(&name("kv_b_proj"))?,
            o: self.matrix(&name("o_proj"))?,
        })
    }
}

fn absent(name: &str) -> Error {
    Error::tensor("weights", name, "was not asked for")
}
