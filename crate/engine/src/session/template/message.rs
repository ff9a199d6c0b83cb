//! A message of a conversation, as chat templates see it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
    /// The reasoning before an assistant's answer, for templates that keep it.
    pub reasoning_content: Option<String>,
    /// All that a template is to see, where that is more or other than the above: calls of tools, parts.
    pub whole: Option<Map<String, Value>>,
}

impl Message {
    /// A message without reasoning.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Message { role: role.into(), content: content.into(), reasoning_content: None, whole: None }
    }

    /// A message that a template sees just so, whatever is in it; reasoning by both of its names.
    #[must_use]
    pub fn whole(message: Map<String, Value>) -> Self {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default().to_owned();
        let names = ["reasoning_content", "thinking", "reasoning"];
        let reasoning = names.iter().filter_map(|name| message.get(*name)).find(|value| !value.is_null()).cloned();
        let mut whole = Map::new();
        whole.extend(reasoning.clone().map(|reasoning| ("thinking".to_owned(), reasoning)));
        whole.extend(message);
        whole.extend(reasoning.map(|reasoning| ("reasoning_content".to_owned(), reasoning)));
        Message { whole: Some(whole), ..Message::new(role, "") }
    }

    /// Its texts, wherever they are in it.
    pub(super) fn texts(&self) -> Vec<&str> {
        let mut texts = vec![self.content.as_str()];
        texts.extend(self.reasoning_content.as_deref());
        let mut values: Vec<&Value> = self.whole.iter().flat_map(Map::values).collect();
        while let Some(value) = values.pop() {
            match value {
                Value::String(text) => texts.push(text),
                Value::Array(list) => values.extend(list),
                Value::Object(map) => values.extend(map.values()),
                _ => {}
            }
        }
        texts
    }
}

impl Serialize for Message {
    /// Reasoning has two names: `reasoning_content` in most templates, `thinking` in those with channels.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(whole) = &self.whole {
            return whole.serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        if let Some(reasoning) = &self.reasoning_content {
            map.serialize_entry("thinking", reasoning)?;
        }
        map.serialize_entry("role", &self.role)?;
        map.serialize_entry("content", &self.content)?;
        if let Some(reasoning) = &self.reasoning_content {
            map.serialize_entry("reasoning_content", reasoning)?;
        }
        map.end()
    }
}
