//! Requests in OpenAI's shape. A field that is unknown, unsupported or out of range is [`Error::Request`] with its name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fields::{Fields, wrong};
use crate::error::{Error, Result};
use crate::kernel::Settings;
use crate::session::{Message, Sampling};

/// Most messages in a request, and most stop strings; far above any honest use.
const MAX_MESSAGES: usize = 10_000;
const MAX_STOPS: usize = 16;

/// Fields both kinds of request have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Common {
    /// Name of the model, when given; must be the one that is loaded.
    pub model: Option<String>,
    /// How tokens are chosen.
    pub choice: Choice,
    /// Most tokens to generate, reasoning included; `None` for as many as the context holds.
    pub max_tokens: Option<usize>,
    /// Texts that end the answer; they are not part of it.
    pub stop: Vec<String>,
    /// Whether the caller wants chunks as they come (the engine always makes them; delivery is the caller's).
    pub stream: bool,
    /// Whether a last chunk carries `usage` (`stream_options.include_usage`).
    pub include_usage: bool,
    /// Whether end tokens are tokens like others (the name it has in vLLM and llama.cpp).
    pub ignore_eos: bool,
    /// Whether the reply says how likely each chosen token was; the others' (`top_logprobs`) are not to be had.
    pub logprobs: bool,
    /// Whether the reply says what experts were chosen for each token.
    pub routing: bool,
}

/// How a request has tokens chosen. What it leaves open is as the model's files have it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Choice {
    /// [`Settings::temperature`]; 0 for the likeliest token always.
    pub temperature: Option<f32>,
    /// [`Settings::top_k`].
    pub top_k: Option<u32>,
    /// [`Settings::top_p`].
    pub top_p: Option<f32>,
    /// [`Settings::min_p`].
    pub min_p: Option<f32>,
    /// [`Settings::repetition_penalty`].
    pub repetition_penalty: Option<f32>,
    /// Seed of the draws; `None` takes one from the host's clock.
    pub seed: Option<u64>,
}

impl Choice {
    /// With the rest as `model` has it.
    pub(super) fn over(self, model: Settings) -> Sampling {
        let settings = Settings {
            temperature: self.temperature.unwrap_or(model.temperature),
            top_k: self.top_k.unwrap_or(model.top_k),
            top_p: self.top_p.unwrap_or(model.top_p),
            min_p: self.min_p.unwrap_or(model.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(model.repetition_penalty),
        };
        Sampling { settings, seed: self.seed }
    }
}

/// `chat.completions.create`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// Fields shared with text completion.
    pub common: Common,
    /// Whether the model thinks before it answers; `None` leaves it to the template.
    pub enable_thinking: Option<bool>,
    /// Most tokens of thinking, after which it is closed; `None` for no bound.
    pub reasoning_budget: Option<usize>,
    /// More variables for the template.
    pub template_kwargs: BTreeMap<String, Value>,
}

/// `completions.create`.
#[derive(Clone, Debug, PartialEq)]
pub struct CompletionRequest {
    /// What to continue.
    pub prompt: PromptInput,
    /// Whether the whole reply carries the ids of its tokens (vLLM's name); not with `stream`.
    pub return_token_ids: bool,
    /// Fields shared with chat completion.
    pub common: Common,
}

/// The prompt of a text completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptInput {
    /// Text; special tokens in it are text.
    Text(String),
    /// Token ids, as they are.
    Tokens(Vec<u32>),
}

impl ChatRequest {
    /// A request with defaults.
    #[must_use]
    pub fn new(messages: Vec<Message>) -> Self {
        let (enable_thinking, reasoning_budget, template_kwargs) = (None, None, BTreeMap::new());
        ChatRequest { messages, common: Common::default(), enable_thinking, reasoning_budget, template_kwargs }
    }

    /// Reads a request from JSON.
    pub fn parse(json: &str) -> Result<Self> {
        let mut fields = object(json)?;
        let mut common = Common::take(&mut fields)?;
        common.logprobs = fields.take("logprobs")?.unwrap_or(false);
        let values: Vec<Value> = fields.need("messages")?;
        let messages = messages(values)?;
        let mut enable_thinking = fields.take("enable_thinking")?;
        let mut template_kwargs: BTreeMap<String, Value> = fields.take("chat_template_kwargs")?.unwrap_or_default();
        if let Some(value) = template_kwargs.remove("enable_thinking") {
            let wanted =
                value.as_bool().ok_or_else(|| wrong("chat_template_kwargs.enable_thinking", "not a boolean"))?;
            if enable_thinking.is_some_and(|already| already != wanted) {
                return Err(wrong("chat_template_kwargs.enable_thinking", "contradicts enable_thinking"));
            }
            enable_thinking = Some(wanted);
        }
        for reserved in ["messages", "add_generation_prompt", "tools", "documents"] {
            if template_kwargs.contains_key(reserved) {
                return Err(wrong(format!("chat_template_kwargs.{reserved}"), "set by the engine"));
            }
        }
        // llama.cpp's meaning: -1 for no bound, 0 for no thinking.
        let reasoning_budget = match fields.take::<i64>("reasoning_budget")? {
            None | Some(-1) => None,
            Some(0) if enable_thinking == Some(true) => {
                return Err(wrong("reasoning_budget", "0 contradicts enable_thinking"));
            }
            Some(0) => {
                enable_thinking = Some(false);
                None
            }
            Some(n) => Some(usize::try_from(n).map_err(|_| wrong("reasoning_budget", format!("{n} is below -1")))?),
        };
        fields.neutral("tools", &json!([]))?;
        fields.neutral("top_logprobs", &json!(0))?;
        fields.neutral("response_format", &json!({"type": "text"}))?;
        fields.finish()?;
        Ok(ChatRequest { messages, common, enable_thinking, reasoning_budget, template_kwargs })
    }
}

impl CompletionRequest {
    /// Reads a request from JSON.
    pub fn parse(json: &str) -> Result<Self> {
        let mut fields = object(json)?;
        let mut common = Common::take(&mut fields)?;
        // How many of the others are wanted too.
        if let Some(others) = fields.take::<u32>("logprobs")? {
            if others > 0 {
                return Err(wrong("logprobs", format!("{others}: only the chosen token's (0) are to be had")));
            }
            common.logprobs = true;
        }
        let prompt = match fields.need::<Value>("prompt")? {
            Value::String(text) => PromptInput::Text(text),
            value => {
                let ids = serde_json::from_value(value);
                PromptInput::Tokens(ids.map_err(|_| wrong("prompt", "neither a text nor a list of token ids"))?)
            }
        };
        let return_token_ids = fields.take("return_token_ids")?.unwrap_or(false);
        if return_token_ids && common.stream {
            return Err(wrong("return_token_ids", "not supported with stream"));
        }
        fields.neutral("echo", &json!(false))?;
        fields.neutral("best_of", &json!(1))?;
        fields.neutral("suffix", &json!(""))?;
        fields.finish()?;
        Ok(CompletionRequest { prompt, return_token_ids, common })
    }
}

impl Common {
    fn take(fields: &mut Fields) -> Result<Self> {
        let mut common = Common { model: fields.take("model")?, ..Common::default() };
        common.choice = Choice {
            temperature: fields.number("temperature", Settings::TEMPERATURE)?,
            top_k: fields.take("top_k")?,
            top_p: fields.number("top_p", Settings::SHARE)?,
            min_p: fields.number("min_p", Settings::SHARE)?,
            repetition_penalty: fields.number("repetition_penalty", Settings::PENALTY)?,
            seed: seed(fields)?,
        };
        let (old, new) = (fields.take("max_tokens")?, fields.take("max_completion_tokens")?);
        if old.is_some() && new.is_some() && old != new {
            return Err(wrong("max_tokens", "contradicts max_completion_tokens"));
        }
        common.max_tokens = new.or(old);
        common.stop = stops(fields)?;
        common.stream = fields.take("stream")?.unwrap_or(false);
        if let Some(options) = fields.take("stream_options")? {
            let mut options = Fields::new(options, "stream_options")?;
            common.include_usage = options.take("include_usage")?.unwrap_or(false);
            options.finish()?;
        }
        common.routing = fields.take("routing")?.unwrap_or(false);
        common.ignore_eos = fields.take("ignore_eos")?.unwrap_or(false);
        fields.neutral("n", &json!(1))?;
        fields.neutral("logit_bias", &json!({}))?;
        fields.neutral("frequency_penalty", &json!(0))?;
        fields.neutral("presence_penalty", &json!(0))?;
        Ok(common)
    }
}

/// A seed; negative ones are allowed, as in OpenAI's API.
fn seed(fields: &mut Fields) -> Result<Option<u64>> {
    let Some(value) = fields.take::<Value>("seed")? else { return Ok(None) };
    let seed = value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned));
    seed.map(Some).ok_or_else(|| wrong("seed", "not an integer"))
}

fn stops(fields: &mut Fields) -> Result<Vec<String>> {
    let stops: Vec<String> = match fields.take::<Value>("stop")? {
        None => Vec::new(),
        Some(Value::String(stop)) => vec![stop],
        Some(value) => {
            serde_json::from_value(value).map_err(|_| wrong("stop", "neither a text nor a list of texts"))?
        }
    };
    if stops.len() > MAX_STOPS {
        return Err(wrong("stop", format!("{} texts, over the limit of {MAX_STOPS}", stops.len())));
    }
    if stops.iter().any(String::is_empty) {
        return Err(wrong("stop", "an empty text"));
    }
    Ok(stops)
}

fn object(json: &str) -> Result<Fields> {
    let value = serde_json::from_str(json).map_err(|e| wrong("request", e))?;
    Fields::new(value, "")
}

/// Reads a list of messages, as in a request or in a file of its own.
pub fn messages(values: Vec<Value>) -> Result<Vec<Message>> {
    if values.is_empty() || values.len() > MAX_MESSAGES {
        return Err(wrong("messages", format!("{} of them; 1 to {MAX_MESSAGES} are allowed", values.len())));
    }
    values.into_iter().enumerate().map(|(i, value)| message(value, &format!("messages[{i}]"))).collect()
}

fn message(value: Value, path: &str) -> Result<Message> {
    let mut fields = Fields::new(value, path)?;
    let role: String = fields.need("role")?;
    let role = match role.as_str() {
        "developer" => "system".into(),
        "system" | "user" | "assistant" => role,
        _ => return Err(wrong(fields.name("role"), format!("{role:?} is not system, user or assistant"))),
    };
    let content = match fields.need::<Value>("content")? {
        Value::String(text) => text,
        Value::Array(parts) => parts_text(parts, &fields.name("content"))?,
        _ => return Err(wrong(fields.name("content"), "neither a text nor a list of parts")),
    };
    let reasoning_content = fields.take("reasoning_content")?;
    if reasoning_content.is_some() && role != "assistant" {
        return Err(wrong(fields.name("reasoning_content"), "only the assistant reasons"));
    }
    fields.neutral("refusal", &Value::Null)?;
    fields.finish()?;
    Ok(Message { reasoning_content, ..Message::new(role, content) })
}

/// The text of a list of parts, all of which must be text.
fn parts_text(parts: Vec<Value>, path: &str) -> Result<String> {
    let mut all = String::new();
    for (i, part) in parts.into_iter().enumerate() {
        let mut fields = Fields::new(part, &format!("{path}[{i}]"))?;
        let kind: String = fields.need("type")?;
        if kind != "text" {
            return Err(Error::Request { field: fields.name("type"), reason: format!("{kind:?} is not \"text\"") });
        }
        all += &fields.need::<String>("text")?;
        fields.finish()?;
    }
    Ok(all)
}
