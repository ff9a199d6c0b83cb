//! What is told of the tokens of a reply: the experts that were chosen for them, and their log-probabilities, in OpenAI's two shapes.
//! They are of the distribution that was drawn from: the model's own where the choice is greedy, else what temperature and cuts left of it.

use serde::Serialize;

use crate::chat::Common;
use crate::session::{Token, Tokenizer};

/// What OpenAI says of a token that has none, as of one that was forced.
const NONE: f32 = -9999.0;

/// `logprobs` of a chat completion or a chunk; `reasoning_content` as DeepSeek has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ChatLogprobs {
    /// Tokens of the answer.
    pub content: Vec<TokenLogprob>,
    /// Tokens of the reasoning before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasoning_content: Vec<TokenLogprob>,
}

/// A token and how likely it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenLogprob {
    /// Its text; U+FFFD for what is no character by itself.
    pub token: String,
    /// Its log-probability, natural; −9999 if it was forced.
    pub logprob: f32,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Never given.
    pub top_logprobs: [(); 0],
}

/// `logprobs` of a text completion or a chunk.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TextLogprobs {
    /// Texts of the tokens.
    pub tokens: Vec<String>,
    /// Their log-probabilities.
    pub token_logprobs: Vec<f32>,
    /// Never given.
    pub top_logprobs: Option<()>,
}

/// Routed experts by token, layer and rank.
pub type Routing = Vec<Vec<Vec<u32>>>;

/// What is told of some tokens; nothing unless it was asked for.
#[derive(Default)]
pub(super) struct Facts<T> {
    /// How likely they were.
    pub(super) logprobs: Option<T>,
    /// What experts were chosen for them.
    pub(super) routing: Option<Routing>,
}

/// What is told of the tokens of a reply, in shape `T`: since the last chunk, and in all.
pub(super) struct Told<'a, T> {
    tokenizer: &'a Tokenizer,
    all: Facts<T>,
    fresh: Facts<T>,
}

/// A shape that tokens are told in.
pub(super) trait Shape: Default {
    /// Adds a token of the reasoning or of the answer.
    fn push(&mut self, tokenizer: &Tokenizer, token: &Token, reasoning: bool);
}

impl<'a, T: Shape> Told<'a, T> {
    pub(super) fn new(tokenizer: &'a Tokenizer, asked: &Common) -> Self {
        let none = || Facts { logprobs: asked.logprobs.then(T::default), routing: asked.routing.then(Vec::new) };
        Told { tokenizer, all: none(), fresh: none() }
    }

    /// Takes a token of the reasoning or of the answer.
    pub(super) fn push(&mut self, token: &Token, reasoning: bool) {
        for facts in [&mut self.all, &mut self.fresh] {
            if let Some(logprobs) = &mut facts.logprobs {
                logprobs.push(self.tokenizer, token, reasoning);
            }
            if let Some(routing) = &mut facts.routing {
                routing.push(token.experts.clone());
            }
        }
    }

    /// Those since the last chunk.
    pub(super) fn fresh(&mut self) -> Facts<T> {
        let Facts { logprobs, routing } = &mut self.fresh;
        Facts { logprobs: logprobs.as_mut().map(std::mem::take), routing: routing.as_mut().map(std::mem::take) }
    }

    /// All of them.
    pub(super) fn all(self) -> Facts<T> {
        self.all
    }
}

impl Shape for ChatLogprobs {
    fn push(&mut self, tokenizer: &Tokenizer, token: &Token, reasoning: bool) {
        let bytes = tokenizer.bytes(token.id).to_vec();
        let (text, logprob) = (String::from_utf8_lossy(&bytes).into_owned(), token.logprob.unwrap_or(NONE));
        let entry = TokenLogprob { token: text, logprob, bytes, top_logprobs: [] };
        if reasoning { self.reasoning_content.push(entry) } else { self.content.push(entry) }
    }
}

impl Shape for TextLogprobs {
    fn push(&mut self, tokenizer: &Tokenizer, token: &Token, _: bool) {
        self.tokens.push(String::from_utf8_lossy(tokenizer.bytes(token.id)).into_owned());
        self.token_logprobs.push(token.logprob.unwrap_or(NONE));
    }
}
