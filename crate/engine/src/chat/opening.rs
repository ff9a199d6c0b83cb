//! What all conversations with a system prompt begin with.

use crate::chat::Chat;
use crate::error::{Error, Result};
use crate::model::Prefix;
use crate::session::{Host, Message, Variables};

/// Questions that have nothing in common.
const QUESTIONS: [&str; 3] = ["a", "1", "Zz"];

impl Chat {
    /// What a pack may have of a system prompt: the tokens that come before any question, and what layers keep of them.
    pub async fn opening(&mut self, system: &str, host: &dyn Host) -> Result<Prefix> {
        let none = || Error::Template("the model has none; a system prompt is nothing without".into());
        let template = self.template.as_ref().ok_or_else(none)?;
        let mut common: Option<Vec<u32>> = None;
        for question in QUESTIONS {
            let messages = [Message::new("system", system), Message::new("user", question)];
            let prompt = template.render(&messages, &Variables::default(), self.tokenizer.controls())?;
            let ids = self.tokenizer.encode_prompt(&prompt)?;
            let same = |common: &Vec<u32>| common.iter().zip(&ids).take_while(|(a, b)| a == b).count();
            let same = common.as_ref().map_or(ids.len(), same);
            common = Some(ids[..same].to_vec());
        }
        self.session.prefix(system.into(), common.unwrap_or_default(), host).await
    }
}
