//! A JSON object that is put together key by key.

use serde_json::{Map, Value};

/// The object so far.
#[derive(Default)]
pub(super) struct Object(Map<String, Value>);

impl Object {
    /// An object of a text that is one.
    pub(super) fn of(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Object(map),
            _ => Object::default(),
        }
    }

    /// Gives a key its value.
    pub(super) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.insert(key, value.into());
    }

    /// Not inlined: there are a hundred calls, and none is in a hurry.
    #[inline(never)]
    fn insert(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    /// Whether the key has a value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Value::Object(object.0)
    }
}
