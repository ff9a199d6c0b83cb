//! Chat templates: the Jinja that comes with a model, rendered as transformers does, with bounded work.

mod bound;
mod guard;
mod json;
mod message;
mod python;

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, Value};
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::gather::gather;
use crate::model::Files;

pub use guard::Prompt;

pub use message::Message;

/// Work a rendering may do, in instructions or units of 64 bytes built (minijinja's "fuel"): so much at all, for each
/// message, and for each byte of them. Honest templates take a few hundred and some dozens a message. The bound is close
/// because a template can nest a list some ten steps a level, and what is nested is freed by recursion: in the browser's
/// stack of 1 MiB some 10,000 levels would trap (8,000 pass, measured).
const FUEL: u64 = 20_000;
const FUEL_A_MESSAGE: u64 = 500;
const BYTES_A_FUEL: u64 = 8;
/// Most work for any chat.
const MAX_FUEL: u64 = 1_000_000;
/// Largest template in bytes.
const MAX_TEMPLATE: usize = 1 << 20;
/// File with special tokens, and in older models the template.
const CONFIG: &str = "tokenizer_config.json";
/// Deepest nesting of calls and includes.
const MAX_DEPTH: usize = 100;

/// A model's chat template and the special tokens it may name.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    source: String,
    /// `bos_token`, `eos_token`, … by name.
    specials: BTreeMap<String, String>,
}

/// What a rendering is given besides messages.
#[derive(Clone, Debug)]
pub struct Variables {
    /// Whether the prompt ends where the assistant's answer begins; true unless a conversation is only to be read.
    pub add_generation_prompt: bool,
    /// `enable_thinking`, also called `thinking`; `None` leaves it undefined, so that the template's own default holds.
    pub enable_thinking: Option<bool>,
    /// More variables, by name.
    pub more: BTreeMap<String, Json>,
    /// Time for `strftime_now`, in milliseconds since the Unix epoch.
    pub now: f64,
}

impl Default for Variables {
    fn default() -> Self {
        Variables { add_generation_prompt: true, enable_thinking: None, more: BTreeMap::new(), now: 0.0 }
    }
}

impl Template {
    /// A template from its source, with special tokens by name (`bos_token`, …).
    pub fn new(source: impl Into<String>, specials: BTreeMap<String, String>) -> Result<Self> {
        let source = source.into();
        if source.len() > MAX_TEMPLATE {
            let what = "size of the chat template in bytes".into();
            return Err(Error::Limit { what, value: source.len() as u64, limit: MAX_TEMPLATE as u64 });
        }
        let template = Template { source: without_generation_marks(&source), specials };
        environment(0.0, 0)?.template_from_str(&template.source).map_err(|e| failed(&e))?;
        Ok(template)
    }

    /// The template of a model: the text of its `chat_template.jinja`, or the key `chat_template` of its
    /// `tokenizer_config.json`. `None` when the model has none.
    pub fn of(files: &Files) -> Result<Option<Self>> {
        let config = files.tokenizer_config.as_deref().unwrap_or("null");
        let config: Json = serde_json::from_str(config).map_err(|e| Error::config(CONFIG, "JSON", e))?;
        let source = files.chat_template.as_deref().or_else(|| default_template(&config));
        source.map(|source| Template::new(source, specials(&config))).transpose()
    }

    /// The end-of-sequence token it may name.
    #[must_use]
    pub fn eos_token(&self) -> Option<&str> {
        self.specials.get("eos_token").map(String::as_str)
    }

    /// The prompt for an answer to `messages`. `controls` are the texts of tokens that messages must not be able to make
    /// ([`crate::session::Tokenizer::controls`]).
    pub fn render(&self, messages: &[Message], variables: &Variables, controls: &[String]) -> Result<Prompt> {
        let guard = guard::Guard::new(controls, messages, &self.source);
        let messages: Vec<Message> = messages.iter().map(|m| guard.message(m)).collect();
        let mut context: BTreeMap<String, Value> = BTreeMap::new();
        // transformers passes these as None when there are none.
        context.extend(["tools", "documents"].map(|name| (name.to_owned(), Value::from(()))));
        context.extend(self.specials.iter().map(|(k, v)| (k.clone(), Value::from(v.as_str()))));
        context.extend(variables.more.iter().map(|(k, v)| (k.clone(), Value::from(Serde(v)))));
        if let Some(thinking) = variables.enable_thinking {
            // Qwen's templates call it enable_thinking, DeepSeek's and Granite's thinking.
            context.insert("enable_thinking".into(), Value::from(thinking));
            context.insert("thinking".into(), Value::from(thinking));
        }
        context.insert("messages".into(), Value::from(Serde(&messages)));
        context.insert("add_generation_prompt".into(), Value::from(variables.add_generation_prompt));
        let bytes: usize = messages.iter().flat_map(Message::texts).map(str::len).sum();
        let fuel = FUEL + FUEL_A_MESSAGE * messages.len() as u64 + bytes as u64 / BYTES_A_FUEL;
        let environment = environment(variables.now, fuel.min(MAX_FUEL))?;
        let rendered = environment.template_from_str(&self.source).and_then(|t| t.render(context));
        Ok(guard.prompt(rendered.map_err(|e| failed(&e))?))
    }
}

/// Jinja as transformers sets it up, with Python's methods and a bound on work.
fn environment<'a>(now: f64, fuel: u64) -> Result<Environment<'a>> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|e| failed(&e))?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(bound::method);
    environment.set_formatter(bound::format);
    environment.set_fuel(Some(fuel));
    environment.set_recursion_limit(MAX_DEPTH);
    environment.add_filter("join", bound::join);
    environment.add_filter("string", bound::string);
    environment.add_filter("tojson", json::tojson);
    environment.add_function("raise_exception", |message: String| python::raise_exception(&message));
    environment.add_function("strftime_now", move |format: String| python::strftime(now, &format));
    Ok(environment)
}

/// The template without `{% generation %}` marks, which only training reads; their dashes still trim white space.
fn without_generation_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        // The end of `{%}` is not that of a tag.
        let Some(length) = rest[start + 2..].find("%}").map(|length| length + 2) else { break };
        let tag = &rest[start..start + length];
        out += &rest[..start];
        out += &match tag[2..].trim_matches(['-', '+']).trim() {
            "generation" => tag.replace("generation", "if true"),
            "endgeneration" => tag.replace("endgeneration", "endif"),
            _ => tag.to_owned(),
        };
        out += "%}";
        rest = &rest[start + length + 2..];
    }
    out + rest
}

/// `chat_template` of a tokenizer's configuration: a text, or a list of named ones with a `default`.
fn default_template(config: &Json) -> Option<&str> {
    match config.get("chat_template")? {
        Json::String(text) => Some(text),
        Json::Array(named) => {
            let default = named.iter().find(|t| t["name"] == "default").or(named.first());
            default?.get("template")?.as_str()
        }
        _ => None,
    }
}

/// Special tokens by name, which may be texts or objects with a `content`.
fn specials(config: &Json) -> BTreeMap<String, String> {
    let text = |value: &Json| value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned);
    let names = ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"];
    gather(names.into_iter().filter_map(|name| Some((name.to_owned(), text(config.get(name)?)?))))
}

/// A template error in one line, with its place.
fn failed(error: &minijinja::Error) -> Error {
    match error.kind() {
        ErrorKind::OutOfFuel => Error::Template("too much work for these messages".into()),
        _ => Error::Template(error.to_string()),
    }
}
