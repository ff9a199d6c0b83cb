//! Checks of tokenizer.json that the `tokenizers` crate leaves to panics, which WebAssembly cannot catch.

use serde_json::{Map, Value};

use super::pattern::Pattern;
use super::unsupported;
use crate::error::{Error, Result};

/// Most entries of a vocabulary, and longest entry in bytes.
pub(super) const MAX_VOCAB: usize = 1 << 20;
const MAX_ENTRY: usize = 1 << 16;
/// Deepest nesting of sequences.
const MAX_DEPTH: usize = 8;

/// A BPE model of which every merge is inside the vocabulary, with `controls` taken out of the vocabulary so that no
/// text can become one of them.
pub(super) fn model(mut json: Value, controls: &[String]) -> Result<Value> {
    let kind = json["type"].as_str().unwrap_or("BPE");
    if kind != "BPE" {
        return Err(unsupported("model", kind));
    }
    for affix in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if json[affix].as_str().is_some_and(|text| !text.is_empty()) {
            return Err(unsupported(affix, json[affix].as_str().unwrap_or_default()));
        }
    }
    if json["dropout"].as_f64().is_some_and(|dropout| dropout != 0.0) {
        return Err(unsupported("dropout", &json["dropout"].to_string()));
    }
    let unknown = json["unk_token"].as_str().map(str::to_owned);
    let merges = json["merges"].take();
    let vocab = json["vocab"].as_object_mut().ok_or_else(|| Error::Tokenizer("model.vocab: not an object".into()))?;
    vocabulary(vocab, unknown.as_deref())?;
    for merge in merges.as_array().ok_or_else(|| Error::Tokenizer("model.merges: not a list".into()))? {
        let (a, b) = pair(merge)?;
        for part in [a, b, &format!("{a}{b}")] {
            if !vocab.contains_key(part) {
                return Err(Error::Tokenizer(format!("model.merges: {a:?} {b:?}: {part:?} is not in the vocabulary")));
            }
        }
        if controls.iter().any(|c| c.len() == a.len() + b.len() && c.starts_with(a) && c.ends_with(b)) {
            return Err(Error::Tokenizer(format!("model.merges: {a:?} {b:?} makes a control token")));
        }
    }
    for control in controls.iter().filter(|c| Some(*c) != unknown.as_ref() && c.chars().count() > 1) {
        vocab.shift_remove(control);
    }
    json["merges"] = merges;
    Ok(json)
}

fn vocabulary(vocab: &Map<String, Value>, unknown: Option<&str>) -> Result<()> {
    if vocab.is_empty() || vocab.len() > MAX_VOCAB {
        let what = "entries of the tokenizer's vocabulary".into();
        return Err(Error::Limit { what, value: vocab.len() as u64, limit: MAX_VOCAB as u64 });
    }
    for (text, id) in vocab {
        if text.len() > MAX_ENTRY || id.as_u64().is_none_or(|id| id >= u64::from(u32::MAX)) {
            let text: String = text.chars().take(32).collect();
            return Err(Error::Tokenizer(format!("model.vocab: {text:?}: too long, or its id {id} is out of range")));
        }
    }
    match unknown {
        Some(unknown) if !vocab.contains_key(unknown) => {
            Err(Error::Tokenizer(format!("model.unk_token: {unknown:?} is not in the vocabulary")))
        }
        _ => Ok(()),
    }
}

/// A merge, which files write as one text with a space or as a list of two.
fn pair(merge: &Value) -> Result<(&str, &str)> {
    let wrong = || Error::Tokenizer(format!("model.merges: {merge} is not a pair"));
    match merge {
        Value::String(text) => text.split_once(' ').filter(|(_, b)| !b.contains(' ')).ok_or_else(wrong),
        Value::Array(two) => match two.as_slice() {
            [Value::String(a), Value::String(b)] => Ok((a, b)),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

/// Normalizers that cannot panic and whose patterns cannot be exhausted.
pub(super) fn normalizer(json: &Value, depth: usize) -> Result<()> {
    if json.is_null() {
        return Ok(());
    }
    if depth > MAX_DEPTH {
        return Err(Error::Tokenizer(format!("normalizer: nested deeper than {MAX_DEPTH}")));
    }
    match json["type"].as_str().unwrap_or_default() {
        "Sequence" => {
            let parts = json["normalizers"].as_array();
            let parts = parts.ok_or_else(|| Error::Tokenizer("normalizer: normalizers: not a list".into()))?;
            parts.iter().try_for_each(|part| normalizer(part, depth + 1))
        }
        "Replace" => match json["pattern"]["Regex"].as_str() {
            // Patterns without look-around and back-references run in linear time and have no limit to hit.
            Some(pattern) => match Pattern::new(pattern)? {
                Pattern::Linear { spaces: false, .. } => Ok(()),
                _ => Err(unsupported("normalizer pattern", pattern)),
            },
            None if json["pattern"]["String"].as_str().is_some_and(|text| !text.is_empty()) => Ok(()),
            None => Err(Error::Tokenizer("normalizer: pattern: neither Regex nor String".into())),
        },
        "NFC" | "NFD" | "NFKC" | "NFKD" | "Lowercase" | "Prepend" | "Strip" | "StripAccents" | "ByteLevel" => Ok(()),
        other => Err(unsupported("normalizer", other)),
    }
}
