//! Chat and text completion in OpenAI's shape, on top of a session.

mod complete;
mod fields;
mod logprobs;
mod opening;
mod reply;
mod request;
mod respond;
mod writer;

use std::rc::Rc;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::{LoadOptions, Model, Progress};
use crate::session::{Host, Session, Template, Tokenizer};
use crate::source::Source;

pub use crate::session::{Finish, Timings};
pub use logprobs::{ChatLogprobs, Routing, TextLogprobs, TokenLogprob};
pub use reply::{
    Answer, ChatChoice, ChatChunk, ChatCompletion, ChunkChoice, Completion, CompletionDetails, Delta, PromptDetails,
    TextChoice, Usage,
};
pub use request::{ChatRequest, Choice, Common, CompletionRequest, PromptInput, messages};

/// A model one can talk to. [`Chat::respond`] answers a conversation, [`Chat::complete`] continues a text.
pub struct Chat {
    /// Name of the model, as in replies.
    pub name: String,
    /// The model and what it holds of the conversation.
    pub session: Session,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its chat template, if it has one.
    pub template: Option<Template>,
    /// Replies made so far.
    replies: u64,
}

impl Chat {
    /// Loads the model in `source` and everything needed to talk to it. The tokenizer and the template are checked
    /// after the weights' headers.
    pub async fn load(
        name: impl Into<String>,
        source: &dyn Source,
        device: Rc<dyn Device>,
        options: &LoadOptions,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Chat> {
        Chat::over(name, Session::load(source, device, options, progress).await?)
    }

    /// Makes a loaded model ready to talk.
    pub async fn new(name: impl Into<String>, model: Model) -> Result<Chat> {
        Chat::over(name, Session::new(model).await?)
    }

    /// A conversation in a session.
    pub fn over(name: impl Into<String>, mut session: Session) -> Result<Chat> {
        let tokenizer = session.take_tokenizer()?;
        let template = Template::of(&session.model.files)?;
        let end = template.as_ref().and_then(Template::eos_token).and_then(|token| tokenizer.id(token));
        session.ends.extend(end.filter(|id| !session.ends.contains(id)));
        Ok(Chat { name: name.into(), session, tokenizer, template, replies: 0 })
    }

    /// Id and time of a new reply.
    fn stamp(&mut self, kind: &str, host: &dyn Host) -> (String, u64) {
        self.replies += 1;
        let now = host.now();
        (format!("{kind}-{:x}-{}", now.to_bits(), self.replies), (now / 1000.0) as u64)
    }

    /// Refuses a request for another model.
    fn check_model(&self, common: &Common) -> Result<()> {
        match &common.model {
            Some(model) if *model != self.name => {
                let reason = format!("{model:?} is not loaded; {:?} is", self.name);
                Err(Error::Request { field: "model".into(), reason })
            }
            _ => Ok(()),
        }
    }
}
