//! Log-probabilities of the tokens that were chosen, in OpenAI's two shapes. They are of the distribution that was drawn from: the
//! model's own where the choice is greedy, else what temperature and cuts left of it.

use serde::Serialize;

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

/// What is told of the tokens of a reply, in shape `T`: since the last chunk, and in all.
pub(super) struct Told<'a, T> {
    tokenizer: &'a Tokenizer,
    /// In all and since the last chunk; nothing unless it was asked for.
    all: Option<T>,
    fresh: T,
}

/// A shape that tokens are told in.
pub(super) trait Shape: Default {
    /// Adds a token of the reasoning or of the answer.
    fn push(&mut self, tokenizer: &Tokenizer, token: Token, reasoning: bool);
}

impl<'a, T: Shape> Told<'a, T> {
    pub(super) fn new(tokenizer: &'a Tokenizer, wanted: bool) -> Self {
        Told { tokenizer, all: wanted.then(T::default), fresh: T::default() }
    }

    /// Takes a token of the reasoning or of the answer.
    pub(super) fn push(&mut self, token: Token, reasoning: bool) {
        if let Some(all) = &mut self.all {
            all.push(self.tokenizer, token, reasoning);
            self.fresh.push(self.tokenizer, token, reasoning);
        }
    }

    /// Those since the last chunk.
    pub(super) fn fresh(&mut self) -> Option<T> {
        self.all.as_ref().map(|_| std::mem::take(&mut self.fresh))
    }

    /// All of them.
    pub(super) fn all(self) -> Option<T> {
        self.all
    }
}

impl Shape for ChatLogprobs {
    fn push(&mut self, tokenizer: &Tokenizer, token: Token, reasoning: bool) {
        let bytes = tokenizer.bytes(token.id).to_vec();
        let (text, logprob) = (String::from_utf8_lossy(&bytes).into_owned(), token.logprob.unwrap_or(NONE));
        let entry = TokenLogprob { token: text, logprob, bytes, top_logprobs: [] };
        if reasoning { self.reasoning_content.push(entry) } else { self.content.push(entry) }
    }
}

impl Shape for TextLogprobs {
    fn push(&mut self, tokenizer: &Tokenizer, token: Token, _: bool) {
        self.tokens.push(String::from_utf8_lossy(tokenizer.bytes(token.id)).into_owned());
        self.token_logprobs.push(token.logprob.unwrap_or(NONE));
    }
}
