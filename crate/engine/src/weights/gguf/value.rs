//! Metadata of a GGUF file: what a key may hold, asked for by kind with errors that name the key.

use super::Header;
use crate::error::{Error, Result};
use crate::weights::shown;

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Whole(i128),
    /// A number with a point.
    Number(f64),
    /// True or false.
    Flag(bool),
    /// A text.
    Text(String),
    /// Whole numbers, or flags as 0 and 1.
    Wholes(Vec<i64>),
    /// Numbers with a point.
    Numbers(Vec<f32>),
    /// Texts.
    Texts(Vec<String>),
}

impl Value {
    /// What it is, for messages.
    pub(super) fn kind(&self) -> String {
        match self {
            Value::Whole(n) => n.to_string(),
            Value::Number(n) => n.to_string(),
            Value::Flag(flag) => flag.to_string(),
            Value::Text(text) => format!("\"{}\"", shown(text)),
            Value::Wholes(list) => format!("a list of {} whole numbers", list.len()),
            Value::Numbers(list) => format!("a list of {} numbers", list.len()),
            Value::Texts(list) => format!("a list of {} texts", list.len()),
        }
    }
}

impl Header {
    fn wrong(file: &str, key: &str, value: &Value, wanted: &str) -> Error {
        Error::config(file, shown(key), format!("{} is not {wanted}", value.kind()))
    }

    /// A whole number that is not below 0, if there.
    pub fn count(&self, file: &str, key: &str) -> Result<Option<u64>> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        let number = if let Value::Whole(n) = value { u64::try_from(*n).ok() } else { None };
        number.map(Some).ok_or_else(|| Header::wrong(file, key, value, "a whole number from 0 on"))
    }

    /// A finite number, if there.
    pub fn number(&self, file: &str, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.metadata.get(key) else { return Ok(None) };
        let number = match value {
            Value::Number(n) if n.is_finite() => Some(*n),
            Value::Whole(n) => Some(*n as f64),
            _ => None,
        };
        number.map(Some).ok_or_else(|| Header::wrong(file, key, value, "a finite number"))
    }

    /// A text, if there.
    pub fn text(&self, file: &str, key: &str) -> Result<Option<&str>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(Header::wrong(file, key, other, "a text")),
        }
    }

    /// True or false, if there.
    pub fn flag(&self, file: &str, key: &str) -> Result<Option<bool>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Flag(flag)) => Ok(Some(*flag)),
            Some(other) => Err(Header::wrong(file, key, other, "true or false")),
        }
    }

    /// A list of texts, if there.
    pub fn texts(&self, file: &str, key: &str) -> Result<Option<&[String]>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Texts(list)) => Ok(Some(list)),
            Some(other) => Err(Header::wrong(file, key, other, "a list of texts")),
        }
    }

    /// A list of whole numbers, if there.
    pub fn wholes(&self, file: &str, key: &str) -> Result<Option<&[i64]>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Wholes(list)) => Ok(Some(list)),
            Some(other) => Err(Header::wrong(file, key, other, "a list of whole numbers")),
        }
    }

    /// A list of numbers, if there.
    pub fn numbers(&self, file: &str, key: &str) -> Result<Option<&[f32]>> {
        match self.metadata.get(key) {
            None => Ok(None),
            Some(Value::Numbers(list)) => Ok(Some(list)),
            Some(other) => Err(Header::wrong(file, key, other, "a list of numbers")),
        }
    }
}
