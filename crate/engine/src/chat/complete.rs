//! Continues a text.

use std::ops::ControlFlow;

use crate::chat::logprobs::{Facts, Told};
use crate::chat::respond::usage;
use crate::chat::writer::Writer;
use crate::chat::{Chat, Completion, CompletionRequest, Finish, PromptInput, TextChoice, TextLogprobs};
use crate::error::Result;
use crate::session::{Host, Next, Request, Token};

impl Chat {
    /// Continues the request's prompt. Every piece goes to `sink` as it comes; breaking ends the text with
    /// [`Finish::Abort`]. What comes back is the whole text.
    pub async fn complete(
        &mut self,
        request: &CompletionRequest,
        host: &dyn Host,
        sink: &mut dyn FnMut(Completion) -> ControlFlow<()>,
    ) -> Result<Completion> {
        self.check_model(&request.common)?;
        let (id, created) = self.stamp("cmpl", host);
        let encoded;
        let prompt = match &request.prompt {
            PromptInput::Tokens(ids) => ids,
            PromptInput::Text(text) => {
                encoded = self.tokenizer.encode(text)?;
                &encoded
            }
        };
        let mut writer = Writer::plain(&self.tokenizer, &request.common.stop);
        let completion = |text: String, facts: Facts<TextLogprobs>, finish_reason| Completion {
            id: id.clone(),
            object: "text_completion",
            created,
            model: self.name.clone(),
            choices: vec![TextChoice {
                index: 0,
                text,
                token_ids: None,
                logprobs: facts.logprobs,
                routing: facts.routing,
                finish_reason,
            }],
            usage: None,
            timings: None,
        };
        let (mut whole, mut aborted) = (String::new(), false);
        let mut told = Told::<TextLogprobs>::new(&self.tokenizer, &request.common);
        let mut send = |text: String, told: &mut Told<'_, _>| {
            whole += &text;
            if text.is_empty() { ControlFlow::Continue(()) } else { sink(completion(text, told.fresh(), None)) }
        };
        let asked = Request {
            prompt,
            sampling: request.common.choice.over(self.session.model.spec.sampling),
            max_new: request.common.max_tokens.unwrap_or(usize::MAX),
            stop_at_end: !request.common.ignore_eos,
            not_first: None,
            routing: request.common.routing,
        };
        let mut take = |token: Token| {
            told.push(&token, false);
            let piece = writer.push(token.id);
            aborted = send(piece.content, &mut told).is_break();
            if piece.stopped || aborted { Next::Stop } else { Next::Go }
        };
        let report = self.session.generate(&asked, host, &mut take).await?;
        let _ = send(writer.finish().content, &mut told);
        let finish = Some(if aborted { Finish::Abort } else { report.finish });
        let (usage, timings) = (Some(usage(prompt.len(), &report, 0)), Some(report.timings));
        // With tokens that gave no text, or none yet.
        let _ = sink(Completion { timings, ..completion(String::new(), told.fresh(), finish) });
        if request.common.include_usage {
            let _ =
                sink(Completion { choices: Vec::new(), usage, ..completion(String::new(), Facts::default(), None) });
        }
        let mut all = Completion { usage, timings, ..completion(whole, told.all(), finish) };
        if request.return_token_ids {
            all.choices[0].token_ids = Some(report.tokens);
        }
        Ok(all)
    }
}
