//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use moebius_engine::model::Room;
use moebius_engine::weights::Precision;

/// Runs Mixture-of-Experts language models, and serves the page that runs them in a browser.
#[derive(Parser)]
#[command(name = "moebius", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Logits after a prompt: the last position's, over the whole vocabulary
    Logits(Logits),
    /// Tokens that follow a prompt of token ids; none is added to it
    Generate(Generate),
    /// How well a model expects a text
    Perplexity(Perplexity),
    /// A conversation on the terminal
    Chat(Chat),
    /// Token ids of a text; special tokens in it stay text, and none is added
    Tokenize(Tokenize),
    /// The prompt that a model's chat template makes of a conversation
    Template(Template),
    /// How fast a model reads and writes
    Bench(Bench),
    /// Packs a model so that a page can stream it from any static host
    Pack(Pack),
    /// Serves a folder to browsers on this machine: byte ranges, cross-origin isolation, right types
    Serve(Serve),
}

impl Command {
    /// Whether the result, and so an error too, is one JSON object on stdout.
    pub(crate) fn json(&self) -> bool {
        match self {
            Command::Logits(a) => a.json,
            Command::Generate(a) => a.json,
            Command::Perplexity(a) => a.json,
            Command::Tokenize(a) => a.json,
            Command::Template(a) => a.json,
            Command::Bench(a) => a.json,
            Command::Pack(a) => a.json,
            Command::Chat(_) | Command::Serve(_) => false,
        }
    }
}

/// Which model, and where it runs.
#[derive(Args, Clone)]
pub(crate) struct Model {
    /// A packed folder, a Hugging Face folder or a .gguf, or the URL of one; hf:owner/name, with /file.gguf, :KIND and @revision of it;
    /// or a configuration file alone, which gets weights by lot
    #[arg(long = "model", value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Precision of the matrices, quantised while they are read [default: as they are stored]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// Where to run: by default a GPU if there is one, else the CPU
    #[arg(long)]
    pub(crate) device: Option<DeviceKind>,
    /// Threads, where it runs on the CPU [default: one for each core, at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// Tokens of context [default: 4096, or the model's own if less]
    #[arg(long, value_name = "N")]
    pub(crate) context: Option<usize>,
    /// What keys and values are kept in [default: f16 on a GPU, f32 on the CPU]
    #[arg(long)]
    pub(crate) cache: Option<CacheFormat>,
    /// Room for experts on the device, as a share (50%) or in bytes (300MB); the others are read when they are wanted
    /// [default: all]
    #[arg(long, value_name = "ROOM", value_parser = room)]
    pub(crate) experts: Option<Room>,
}

/// Room for experts.
fn room(text: &str) -> Result<Room, String> {
    let wrong = || format!("{text:?} is neither a share, as 50%, nor bytes, as 300MB");
    let end = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%').len();
    let number: f64 = text[..end].parse().map_err(|_| wrong())?;
    let unit = match &text[end..] {
        "%" if (0.0..=100.0).contains(&number) => return Ok(Room::Share(number / 100.0)),
        "" => 1.0,
        "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return Err(wrong()),
    };
    if number >= 0.0 { Ok(Room::Bytes((number * unit) as u64)) } else { Err(wrong()) }
}

/// What keys and values are kept in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CacheFormat {
    /// 32-bit floats
    F32,
    /// 16-bit floats, half as large
    F16,
}

impl From<CacheFormat> for moebius_engine::format::Format {
    fn from(format: CacheFormat) -> Self {
        match format {
            CacheFormat::F32 => moebius_engine::format::Format::F32,
            CacheFormat::F16 => moebius_engine::format::Format::F16,
        }
    }
}

/// Where to run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceKind {
    /// The processor
    Cpu,
    /// Vulkan, through wgpu
    Gpu,
}

/// Arguments of `logits`.
#[derive(Args)]
pub(crate) struct Logits {
    #[command(flatten)]
    pub(crate) model: Model,
    /// The prompt's token ids, with commas between
    #[arg(long, value_name = "IDS", value_delimiter = ',', required = true)]
    pub(crate) tokens: Vec<u32>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `generate`.
#[derive(Args)]
pub(crate) struct Generate {
    #[command(flatten)]
    pub(crate) model: Model,
    /// The prompt's token ids, with commas between
    #[arg(long, value_name = "IDS", value_delimiter = ',', required = true)]
    pub(crate) tokens: Vec<u32>,
    /// Most tokens to generate
    #[arg(long, value_name = "N")]
    pub(crate) max_new: usize,
    /// Always the likeliest token
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p", "min_p", "repetition_penalty"])]
    pub(crate) greedy: bool,
    /// Goes on after an end token
    #[arg(long)]
    pub(crate) ignore_eos: bool,
    /// Divides the logits before sampling
    #[arg(long, default_value_t = 1.0)]
    pub(crate) temperature: f32,
    /// Samples among this many; 0 for all
    #[arg(long, default_value_t = 0)]
    pub(crate) top_k: u32,
    /// Samples among the fewest that have this probability together
    #[arg(long, default_value_t = 1.0)]
    pub(crate) top_p: f32,
    /// Samples among those at least this times as likely as the likeliest
    #[arg(long, default_value_t = 0.0)]
    pub(crate) min_p: f32,
    /// Makes tokens seen before less likely; 1 for no change
    #[arg(long, default_value_t = 1.0)]
    pub(crate) repetition_penalty: f32,
    /// Makes sampling repeatable
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `perplexity`.
#[derive(Args)]
pub(crate) struct Perplexity {
    #[command(flatten)]
    pub(crate) model: Model,
    /// A file with the text; each stretch of the context's length is scored for itself
    #[arg(long, value_name = "FILE")]
    pub(crate) text: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `chat`.
#[derive(Args)]
pub(crate) struct Chat {
    #[command(flatten)]
    pub(crate) model: Model,
    /// The system message
    #[arg(long)]
    pub(crate) system: Option<String>,
    /// Asks the model for thinking, or for none [default: the model's own]
    #[arg(long, value_name = "BOOL")]
    pub(crate) thinking: Option<bool>,
    /// Most tokens of thinking
    #[arg(long, value_name = "N")]
    pub(crate) budget: Option<usize>,
    /// Divides the logits before sampling; 0 for the likeliest token always [default: the model's own]
    #[arg(long)]
    pub(crate) temperature: Option<f32>,
    /// Makes answers repeatable
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

/// Arguments of `tokenize`.
#[derive(Args)]
pub(crate) struct Tokenize {
    /// A model's folder or .gguf
    #[arg(long = "model", value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// The text
    #[arg(long, value_name = "STRING", required_unless_present = "text_file", conflicts_with = "text_file")]
    pub(crate) text: Option<String>,
    /// A file with the text
    #[arg(long, value_name = "FILE")]
    pub(crate) text_file: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `template`.
#[derive(Args)]
pub(crate) struct Template {
    /// A model's folder or .gguf
    #[arg(long = "model", value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// A JSON file: an array of messages with `role` and `content`; or an object with `messages` of any kind, and whatever else
    /// the template is to see (`tools`, `documents`)
    #[arg(long, value_name = "FILE")]
    pub(crate) messages: PathBuf,
    /// Asks the template for thinking, or for none [default: the template's own]
    #[arg(long, value_name = "BOOL")]
    pub(crate) thinking: Option<bool>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `bench`.
#[derive(Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) model: Model,
    /// Lengths of prompts, with commas between
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [128, 512])]
    pub(crate) prompt: Vec<usize>,
    /// Tokens generated after each
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) decode: usize,
    /// A file with a text: its tokens are the prompts, and what comes after them [default: ids spread over the vocabulary]
    #[arg(long, value_name = "FILE")]
    pub(crate) text: Option<PathBuf>,
    /// Also how long each kernel takes, of a token and of a chunk of a prompt, after the first prompt
    #[arg(long)]
    pub(crate) kernels: bool,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `pack`.
#[derive(Args)]
pub(crate) struct Pack {
    /// A Hugging Face folder or a .gguf, the URL of one, or hf:owner/name
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,
    /// The new folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Precision of the matrices [default: as they are stored]
    #[arg(long)]
    pub(crate) format: Option<Format>,
    /// A text like those that the model will read: the experts that it chooses most come first
    #[arg(long, value_name = "FILE")]
    pub(crate) heat: Option<PathBuf>,
    /// Rooms for experts, with commas between: how many of those that the text wants would be found there
    #[arg(long, value_name = "ROOMS", value_delimiter = ',', requires = "heat", value_parser = room)]
    pub(crate) experts: Vec<Room>,
    /// A file with a system prompt, which chats have unless they are given another, and which comes computed
    #[arg(long, value_name = "FILE")]
    pub(crate) system: Option<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Precision of packed matrices.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// 16-bit floats
    F16,
    /// 8-bit blocks
    Q8,
    /// 4-bit blocks for routed experts, 8-bit for the rest
    Q4,
    /// 8-bit floats
    Fp8,
    /// 4-bit floats (e2m1, powers of two) for routed experts, 8-bit blocks for the rest
    Mxfp4,
    /// 4-bit blocks for everything
    Q4All,
}

impl Format {
    /// The engine's name for it.
    pub(crate) fn precision(self) -> Precision {
        match self {
            Format::F16 => Precision::F16,
            Format::Q8 => Precision::Q8,
            Format::Q4 => Precision::Q4,
            Format::Fp8 => Precision::Fp8,
            Format::Mxfp4 => Precision::Mxfp4,
            Format::Q4All => Precision::Q4All,
        }
    }
}

/// Arguments of `serve`.
#[derive(Args)]
pub(crate) struct Serve {
    /// The folder
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The port; 0 for any that is free [default: 8080, or the next that is free]
    #[arg(long)]
    pub(crate) port: Option<u16>,
}
