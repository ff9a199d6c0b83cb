//! Replies in OpenAI's shape, whole and in chunks, with llama.cpp's `timings` and `reasoning_content`.

use serde::Serialize;

use crate::chat::{ChatLogprobs, Routing, TextLogprobs};
use crate::session::{Finish, Timings};

/// Tokens used by a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens generated, reasoning included.
    pub completion_tokens: usize,
    /// Both.
    pub total_tokens: usize,
    /// Of the prompt.
    pub prompt_tokens_details: PromptDetails,
    /// Of the answer.
    pub completion_tokens_details: CompletionDetails,
}

/// See [`Usage::prompt_tokens_details`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PromptDetails {
    /// Tokens whose keys and values were kept from the turn before.
    pub cached_tokens: usize,
}

/// See [`Usage::completion_tokens_details`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CompletionDetails {
    /// Tokens of reasoning.
    pub reasoning_tokens: usize,
}

/// `chat.completion`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatCompletion {
    /// Id of the answer.
    pub id: String,
    /// Always `chat.completion`.
    pub object: &'static str,
    /// Unix seconds.
    pub created: u64,
    /// Name of the model.
    pub model: String,
    /// One choice.
    pub choices: [ChatChoice; 1],
    /// Tokens used.
    pub usage: Usage,
    /// Times.
    pub timings: Timings,
}

/// The choice of a [`ChatCompletion`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatChoice {
    /// Always 0.
    pub index: u32,
    /// The answer.
    pub message: Answer,
    /// How likely its tokens were, when asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// What experts were chosen for its tokens, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// Why it ended.
    pub finish_reason: Finish,
}

/// The assistant's message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Always `assistant`.
    pub role: &'static str,
    /// The answer's text.
    pub content: String,
    /// What the model thought before it; absent when it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Never given.
    pub refusal: Option<()>,
}

/// `chat.completion.chunk`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChatChunk {
    /// Id of the answer.
    pub id: String,
    /// Always `chat.completion.chunk`.
    pub object: &'static str,
    /// Unix seconds.
    pub created: u64,
    /// Name of the model.
    pub model: String,
    /// One choice, or none in the chunk that carries `usage`.
    pub choices: Vec<ChunkChoice>,
    /// Tokens used; in the last chunk, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Times; in the chunk with the finish reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
}

/// The choice of a [`ChatChunk`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChunkChoice {
    /// Always 0.
    pub index: u32,
    /// What is new.
    pub delta: Delta,
    /// How likely the tokens since the last chunk were, when asked for.
    pub logprobs: Option<ChatLogprobs>,
    /// What experts were chosen for the tokens since the last chunk, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// Why it ended, in the last choice.
    pub finish_reason: Option<Finish>,
}

/// What is new in a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Delta {
    /// `assistant`, in the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// More of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// More of the reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
}

/// `text_completion`, whole or a chunk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Completion {
    /// Id of the answer.
    pub id: String,
    /// Always `text_completion`.
    pub object: &'static str,
    /// Unix seconds.
    pub created: u64,
    /// Name of the model.
    pub model: String,
    /// One choice, or none in the chunk that carries `usage`.
    pub choices: Vec<TextChoice>,
    /// Tokens used; always in the whole, in the last chunk when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Times; in the whole and in the chunk with the finish reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timings: Option<Timings>,
}

/// The choice of a [`Completion`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextChoice {
    /// Always 0.
    pub index: u32,
    /// The text, or what is new of it.
    pub text: String,
    /// Ids of its tokens; in the whole, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ids: Option<Vec<u32>>,
    /// How likely its tokens, or those since the last chunk, were, when asked for.
    pub logprobs: Option<TextLogprobs>,
    /// What experts were chosen for its tokens, or those since the last chunk, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// Why it ended, in the whole and in the last choice.
    pub finish_reason: Option<Finish>,
}
