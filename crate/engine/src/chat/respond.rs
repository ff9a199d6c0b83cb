//! Answers a conversation.

use std::ops::ControlFlow;

use crate::chat::logprobs::{Facts, Told};
use crate::chat::writer::{Piece, Writer};
use crate::chat::{
    Answer, Chat, ChatChoice, ChatChunk, ChatCompletion, ChatLogprobs, ChatRequest, ChunkChoice, CompletionDetails,
    Delta, Finish, PromptDetails, Usage,
};
use crate::error::{Error, Result};
use crate::session::{Host, Next, Prompt, Report, Request, Token, Variables};

impl Chat {
    /// The prompt of a request.
    pub fn prompt(&self, request: &ChatRequest, now: f64) -> Result<Prompt> {
        let none = || Error::Template("the model has none; use text completion".into());
        let template = self.template.as_ref().ok_or_else(none)?;
        let enable_thinking = request.enable_thinking;
        let more = request.template_kwargs.clone();
        let variables = Variables { enable_thinking, more, now, ..Variables::default() };
        template.render(&request.messages, &variables, self.tokenizer.controls())
    }

    /// Answers the last message. Every chunk goes to `sink` as it comes, whether or not the request asks for a stream;
    /// breaking ends the answer with [`Finish::Abort`]. What comes back is the whole answer.
    pub async fn respond(
        &mut self,
        request: &ChatRequest,
        host: &dyn Host,
        sink: &mut dyn FnMut(ChatChunk) -> ControlFlow<()>,
    ) -> Result<ChatCompletion> {
        self.check_model(&request.common)?;
        let (id, created) = self.stamp("chatcmpl", host);
        let prompt = self.prompt(request, host.now())?;
        let ids = self.tokenizer.encode_prompt(&prompt)?;
        let thinking = prompt.ends_thinking();
        let mut writer = Writer::answer(&self.tokenizer, &request.common.stop, thinking);
        let chunk = |delta, facts: Facts<ChatLogprobs>, finish_reason| ChatChunk {
            id: id.clone(),
            object: "chat.completion.chunk",
            created,
            model: self.name.clone(),
            choices: vec![ChunkChoice {
                index: 0,
                delta,
                logprobs: facts.logprobs,
                routing: facts.routing,
                finish_reason,
            }],
            usage: None,
            timings: None,
        };
        let (mut whole, mut thought, mut aborted) = (Piece::default(), thinking, false);
        // The first chunk says who speaks, and that is all an empty answer has.
        let mut role = Some("assistant");
        let mut told = Told::<ChatLogprobs>::new(&self.tokenizer, &request.common);
        let mut send = |piece: Piece, told: &mut Told<'_, _>| {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let (content, reasoning_content) = (text(&piece.content), text(&piece.reasoning));
            whole.content += &piece.content;
            whole.reasoning += &piece.reasoning;
            if content.is_none() && reasoning_content.is_none() {
                return ControlFlow::Continue(());
            }
            sink(chunk(Delta { role: role.take(), content, reasoning_content }, told.fresh(), None))
        };
        let close: Vec<u32> = match writer.close {
            Some(close) => std::iter::once(close).chain(self.tokenizer.encode("\n")?).collect(),
            None => Vec::new(),
        };
        let mut closed = close.is_empty();
        let asked = Request {
            prompt: &ids,
            sampling: request.common.choice.over(self.session.model.spec.sampling),
            max_new: request.common.max_tokens.unwrap_or(usize::MAX),
            stop_at_end: !request.common.ignore_eos,
            // A model asked to think sometimes closes at once.
            not_first: writer.close.filter(|_| thinking),
            routing: request.common.routing,
        };
        let mut take = |token: Token| {
            told.push(&token, writer.thinking);
            let piece = writer.push(token.id);
            thought |= writer.thinking;
            let stopped = piece.stopped;
            aborted = send(piece, &mut told).is_break();
            if stopped || aborted {
                return Next::Stop;
            }
            let over = request.reasoning_budget.is_some_and(|budget| writer.reasoning_tokens >= budget);
            if writer.thinking && over && !std::mem::replace(&mut closed, true) {
                return Next::Force(close.clone());
            }
            Next::Go
        };
        let report = self.session.generate(&asked, host, &mut take).await?;
        let _ = send(writer.finish(), &mut told);
        let finish_reason = if aborted { Finish::Abort } else { report.finish };
        let reasoning_tokens = writer.reasoning_tokens;
        let usage = usage(ids.len(), &report, reasoning_tokens);
        let timings = report.timings;
        let _ = sink(ChatChunk {
            timings: Some(timings),
            // With tokens that gave no text, or none yet.
            ..chunk(Delta { role, ..Delta::default() }, told.fresh(), Some(finish_reason))
        });
        if request.common.include_usage {
            let last = chunk(Delta::default(), Facts::default(), None);
            let _ = sink(ChatChunk { choices: Vec::new(), usage: Some(usage), ..last });
        }
        let message = Answer {
            role: "assistant",
            content: whole.content,
            reasoning_content: thought.then_some(whole.reasoning),
            refusal: None,
        };
        let Facts { logprobs, routing } = told.all();
        let choices = [ChatChoice { index: 0, message, logprobs, routing, finish_reason }];
        let model = self.name.clone();
        Ok(ChatCompletion { id, object: "chat.completion", created, model, choices, usage, timings })
    }
}

/// Counts of a generation.
pub(super) fn usage(prompt_tokens: usize, report: &Report, reasoning_tokens: usize) -> Usage {
    let completion_tokens = report.tokens.len();
    Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        prompt_tokens_details: PromptDetails { cached_tokens: report.timings.cache_n },
        completion_tokens_details: CompletionDetails { reasoning_tokens },
    }
}
