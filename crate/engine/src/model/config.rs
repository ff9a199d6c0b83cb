//! A configuration file with every value checked: errors name the file and the key, and sizes have upper bounds.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::source::Source;
use crate::weights::shown;

/// Largest configuration file in bytes.
const BYTES: u64 = 4 << 20;

/// Upper bounds of sizes, far above any public model: what a hostile file may make the engine reserve.
pub(crate) mod limit {
    pub(crate) const LAYERS: usize = 1024;
    pub(crate) const EXPERTS: usize = 512;
    pub(crate) const VOCAB: usize = 1 << 20;
    pub(crate) const HIDDEN: usize = 65_536;
    pub(crate) const WIDTH: usize = 1 << 20;
    pub(crate) const TAPS: usize = 16;
    pub(crate) const HEADS: usize = 4096;
    pub(crate) const HEAD: usize = 4096;
    pub(crate) const RANK: usize = 65_536;
    pub(crate) const CONTEXT: usize = 1 << 24;
}

/// A JSON object of a file.
pub(crate) struct Config {
    file: String,
    /// Where in the file it is: `rope_scaling.`, or nothing.
    path: String,
    values: Map<String, Value>,
}

impl Config {
    /// Reads a configuration file.
    pub(crate) async fn read(source: &dyn Source, file: &str) -> Result<Self> {
        Config::parse(file, &source.read_all(file, BYTES).await?)
    }

    /// Parses a configuration file's bytes.
    pub(crate) fn parse(file: &str, json: &[u8]) -> Result<Self> {
        let malformed = |reason: String| Error::Malformed { file: file.into(), field: "JSON".into(), reason };
        match serde_json::from_slice(json) {
            Ok(Value::Object(values)) => Ok(Config { file: file.into(), path: String::new(), values }),
            Ok(_) => Err(malformed("is not an object".into())),
            Err(e) => Err(malformed(shown(&e.to_string()))),
        }
    }

    /// An error about the value of `key`.
    pub(crate) fn wrong(&self, key: &str, reason: impl std::fmt::Display) -> Error {
        Error::config(&self.file, format!("{}{key}", self.path), reason)
    }

    /// An error about an option this engine does not have.
    pub(crate) fn unsupported(&self, key: &str, missing: &str) -> Error {
        let value = self.get(key).map_or("absent".into(), |v| shown(&v.to_string()));
        Error::Unsupported { what: format!("{}{key} = {value} in {}", self.path, self.file), missing: missing.into() }
    }

    /// The value of `key`; null counts as absent.
    fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key).filter(|v| !v.is_null())
    }

    /// Whether `key` has a value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// A whole number from 0 to `most`, if present.
    pub(crate) fn count(&self, key: &str, most: usize) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let refused = || self.wrong(key, format!("{} is not a whole number up to {most}", shown(&value.to_string())));
        let number = value.as_u64().filter(|n| *n <= most as u64).ok_or_else(refused)?;
        Ok(Some(number as usize))
    }

    /// A size from 1 to `most`.
    pub(crate) fn size(&self, key: &str, most: usize) -> Result<usize> {
        match self.count(key, most)? {
            Some(0) => Err(self.wrong(key, "is 0")),
            Some(n) => Ok(n),
            None => Err(self.wrong(key, "is missing")),
        }
    }

    /// A size under one of several names, which must not disagree.
    pub(crate) fn size_under(&self, keys: &[&str], most: usize) -> Result<usize> {
        let mut found: Option<usize> = None;
        for key in keys.iter().filter(|key| self.has(key)) {
            let size = self.size(key, most)?;
            if found.is_some_and(|f| f != size) {
                return Err(self.wrong(key, format!("{size} disagrees with another name of the same value")));
            }
            found = Some(size);
        }
        found.ok_or_else(|| self.wrong(keys[0], "is missing"))
    }

    /// A finite number from `least` to `most`, if present.
    pub(crate) fn number(&self, key: &str, least: f64, most: f64) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let refused = || {
            let value = shown(&value.to_string());
            self.wrong(key, format!("{value} is not a number from {least} to {most}"))
        };
        let number = value.as_f64().filter(|n| (least..=most).contains(n)).ok_or_else(refused)?;
        Ok(Some(number))
    }

    /// A list of finite numbers from `least` to `most`; absence as none.
    pub(crate) fn numbers(&self, key: &str, least: f64, most: f64) -> Result<Vec<f64>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let number = |v: &Value| v.as_f64().filter(|n| (least..=most).contains(n));
        let numbers = value.as_array().and_then(|list| list.iter().map(number).collect());
        let refused = || self.wrong(key, format!("is not a list of numbers from {least} to {most}"));
        numbers.ok_or_else(refused)
    }

    /// True or false, or `default` when absent.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(key, format!("{} is not true or false", shown(&other.to_string())))),
        }
    }

    /// A text, if present.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, format!("{} is not a text", shown(&other.to_string())))),
        }
    }

    /// An object, if present.
    pub(crate) fn object(&self, key: &str) -> Result<Option<Config>> {
        let path = format!("{}{key}.", self.path);
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(values)) => Ok(Some(Config { file: self.file.clone(), path, values: values.clone() })),
            Some(other) => Err(self.wrong(key, format!("{} is not an object", shown(&other.to_string())))),
        }
    }

    /// A list of whole numbers below `end`; one number counts as a list, absence as none.
    pub(crate) fn list(&self, key: &str, end: usize) -> Result<Vec<usize>> {
        let one = |value: &Value| {
            let refused =
                || self.wrong(key, format!("{} is not a whole number below {end}", shown(&value.to_string())));
            value.as_u64().filter(|n| *n < end as u64).map(|n| n as usize).ok_or_else(refused)
        };
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => values.iter().map(one).collect(),
            Some(value) => Ok(vec![one(value)?]),
        }
    }

    /// A list of texts; absence as none.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<&str>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let texts = value.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        texts.ok_or_else(|| self.wrong(key, format!("{} is not a list of texts", shown(&value.to_string()))))
    }

    /// Refuses any value of `key` but `only` (and absence).
    pub(crate) fn only(&self, key: &str, only: &str, missing: &str) -> Result<()> {
        match self.text(key)? {
            Some(other) if other != only => Err(self.unsupported(key, missing)),
            _ => Ok(()),
        }
    }

    /// Refuses a flag that is true.
    pub(crate) fn off(&self, key: &str, missing: &str) -> Result<()> {
        if self.flag(key, false)? { Err(self.unsupported(key, missing)) } else { Ok(()) }
    }
}
