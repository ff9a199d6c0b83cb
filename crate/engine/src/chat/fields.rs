//! Reads a JSON object field by field: what is unknown, of the wrong kind or out of range is an error with its name.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The fields of an object that have not been read yet. `null` counts as absent.
pub(super) struct Fields {
    /// Prefix of field names in errors: `messages[2].`.
    path: String,
    left: Map<String, Value>,
}

/// A request error at `field`.
pub(super) fn wrong(field: impl Into<String>, reason: impl std::fmt::Display) -> Error {
    Error::Request { field: field.into(), reason: reason.to_string() }
}

impl Fields {
    /// The fields of `value`, which `path` names in errors (empty for the request itself).
    pub(super) fn new(value: Value, path: &str) -> Result<Self> {
        match value {
            Value::Object(left) if path.is_empty() => Ok(Fields { path: String::new(), left }),
            Value::Object(left) => Ok(Fields { path: format!("{path}."), left }),
            _ => Err(wrong(if path.is_empty() { "request" } else { path }, "not an object")),
        }
    }

    /// The full name of a field, for errors.
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    /// Takes a field that may be absent.
    pub(super) fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>> {
        match self.left.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value).map(Some).map_err(|e| wrong(self.name(key), e)),
        }
    }

    /// Takes a field that must be there.
    pub(super) fn need<T: DeserializeOwned>(&mut self, key: &str) -> Result<T> {
        self.take(key)?.ok_or_else(|| wrong(self.name(key), "missing"))
    }

    /// Takes a number inside `range`.
    pub(super) fn number(&mut self, key: &str, range: RangeInclusive<f32>) -> Result<Option<f32>> {
        let Some(n) = self.take::<f32>(key)? else { return Ok(None) };
        // Written so that NaN fails too.
        if !range.contains(&n) {
            let reason = format!("{n} is not between {} and {}", range.start(), range.end());
            return Err(wrong(self.name(key), reason));
        }
        Ok(Some(n))
    }

    /// Takes a field this engine has no use for, and accepts only the value that asks for nothing.
    pub(super) fn neutral(&mut self, key: &str, neutral: &Value) -> Result<()> {
        match self.left.remove(key) {
            None | Some(Value::Null) => Ok(()),
            Some(value) if value == *neutral || value.as_f64().is_some_and(|v| Some(v) == neutral.as_f64()) => Ok(()),
            Some(_) => Err(wrong(self.name(key), format!("not supported, other than {neutral}"))),
        }
    }

    /// Ends reading: anything left is a field nobody knows.
    pub(super) fn finish(self) -> Result<()> {
        match self.left.keys().next() {
            Some(key) => Err(wrong(self.name(key), "unknown field")),
            None => Ok(()),
        }
    }
}
