//! Keeps special tokens out of what people type, through any template.
//!
//! Before rendering, every character of a message that could begin or end a control token is replaced by a stand-in: a
//! private-use character that neither the messages nor the template contain. In the rendered text control tokens are
//! then found only where the template itself wrote them, and afterwards the stand-ins are turned back. Stand-ins are
//! neither white space nor letters, like the brackets they replace, so templates that trim or split texts see no change.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::gather::gather;
use crate::session::template::Message;

/// Thinking marks: an assistant's message keeps them, since templates cut old reasoning off by them.
const THINK: [&str; 2] = ["<think>", "</think>"];

/// The stand-ins of one rendering, and the rendered text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Rendered text, with stand-ins in it.
    guarded: String,
    /// Stand-in to the character it stands for.
    originals: BTreeMap<char, char>,
}

impl Prompt {
    /// The rendered text as a person reads it.
    #[must_use]
    pub fn text(&self) -> String {
        self.restore(&self.guarded)
    }

    /// Whether the template ended it inside reasoning, so that the answer begins with thought.
    #[must_use]
    pub fn ends_thinking(&self) -> bool {
        self.guarded.trim_end().ends_with(THINK[0])
    }

    /// The text in which control tokens may be looked for.
    pub(crate) fn guarded(&self) -> &str {
        &self.guarded
    }

    /// Turns stand-ins back.
    pub(crate) fn restore(&self, text: &str) -> String {
        text.chars().map(|c| self.originals.get(&c).copied().unwrap_or(c)).collect()
    }
}

/// Makes and keeps stand-ins.
pub(super) struct Guard {
    stand_ins: BTreeMap<char, char>,
}

impl Guard {
    /// Stand-ins for the first and last characters of `controls`, absent from `messages` and `template`.
    pub(super) fn new(controls: &[String], messages: &[Message], template: &str) -> Self {
        let ends = controls.iter().flat_map(|c| [c.chars().next(), c.chars().next_back()]).flatten();
        let ends: BTreeSet<char> = gather(ends.filter(|c| !c.is_whitespace()));
        let texts = messages.iter().flat_map(Message::texts).chain([template]);
        let used: BTreeSet<char> = gather(texts.flat_map(str::chars).filter(|c| *c >= '\u{F0000}'));
        // Two planes of private use hold 131,068 characters; control tokens have a handful of different ends.
        let free = ('\u{F0000}'..='\u{10FFFD}').filter(|c| !used.contains(c));
        Guard { stand_ins: gather(ends.into_iter().zip(free)) }
    }

    /// `message` with stand-ins.
    pub(super) fn message(&self, message: &Message) -> Message {
        let keep: &[&str] = if message.role == "assistant" { &THINK } else { &[] };
        Message {
            role: message.role.clone(),
            content: self.replace(&message.content, keep),
            reasoning_content: message.reasoning_content.as_deref().map(|text| self.replace(text, &[])),
            whole: message.whole.clone().map(|mut whole| {
                // Its role is the template's to judge.
                let values = whole.iter_mut().filter(|(key, _)| *key != "role");
                values.for_each(|(_, value)| self.value(value, keep));
                whole
            }),
        }
    }

    /// Stand-ins in every text of a value.
    fn value(&self, value: &mut Value, keep: &[&str]) {
        match value {
            Value::String(text) => *text = self.replace(text, keep),
            Value::Array(list) => list.iter_mut().for_each(|value| self.value(value, keep)),
            Value::Object(map) => map.values_mut().for_each(|value| self.value(value, keep)),
            _ => {}
        }
    }

    /// The prompt of a rendered text.
    pub(super) fn prompt(self, guarded: String) -> Prompt {
        Prompt {
            guarded,
            originals: gather(self.stand_ins.into_iter().map(|(original, stand_in)| (stand_in, original))),
        }
    }

    fn replace(&self, text: &str, keep: &[&str]) -> String {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let kept = keep.iter().find(|k| rest.starts_with(**k));
            let length = match kept {
                Some(kept) => {
                    replaced += kept;
                    kept.len()
                }
                None => {
                    replaced.push(self.stand_ins.get(&c).copied().unwrap_or(c));
                    c.len_utf8()
                }
            };
            rest = &rest[length..];
        }
        replaced
    }
}
