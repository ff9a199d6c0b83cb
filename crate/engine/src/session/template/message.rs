//! A message of a conversation, as chat templates see it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
    /// The reasoning before an assistant's answer, for templates that keep it.
    pub reasoning_content: Option<String>,
}

impl Message {
    /// A message without reasoning.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Message { role: role.into(), content: content.into(), reasoning_content: None }
    }
}

impl Serialize for Message {
    /// Reasoning has two names: `reasoning_content` in most templates, `thinking` in those with channels.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", &self.role)?;
        map.serialize_entry("content", &self.content)?;
        if let Some(reasoning) = &self.reasoning_content {
            map.serialize_entry("reasoning_content", reasoning)?;
            map.serialize_entry("thinking", reasoning)?;
        }
        map.end()
    }
}
