//! From tokens to text: the bytes of each token, and a stream that never cuts a character.

use std::collections::BTreeMap;

use serde_json::Value;

use super::unsupported;
use crate::error::{Error, Result};
use crate::gather::gather;

/// How a token's entry in the vocabulary becomes bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Decoder {
    /// Characters stand for bytes (GPT-2's table).
    byte_level: bool,
    /// `<0x0A>` stands for a byte.
    byte_fallback: bool,
    /// Texts replaced, in order (`▁` by a space).
    replace: Vec<(String, String)>,
    /// One leading space of the whole text is dropped.
    pub(super) strip_first: bool,
}

impl Decoder {
    /// Reads `decoder` of tokenizer.json.
    pub(super) fn new(json: &Value) -> Result<Self> {
        let mut decoder = Decoder::default();
        match json["type"].as_str() {
            Some("Sequence") => {
                let parts = json["decoders"].as_array();
                let parts = parts.ok_or_else(|| Error::Tokenizer("decoder: decoders: not a list".into()))?;
                parts.iter().try_for_each(|part| decoder.add(part))?;
            }
            Some(_) => decoder.add(json)?,
            None => return Err(unsupported("decoder", "none")),
        }
        Ok(decoder)
    }

    fn add(&mut self, json: &Value) -> Result<()> {
        match json["type"].as_str().unwrap_or_default() {
            "ByteLevel" => self.byte_level = true,
            "ByteFallback" => self.byte_fallback = true,
            "Fuse" => {}
            "Replace" => {
                let (from, to) = (json["pattern"]["String"].as_str(), json["content"].as_str());
                let (Some(from), Some(to)) = (from.filter(|f| !f.is_empty()), to) else {
                    return Err(unsupported("decoder", "Replace by a pattern"));
                };
                self.replace.push((from.into(), to.into()));
            }
            "Strip" if json["content"] == " " && json["start"] == 1 && json["stop"] == 0 => self.strip_first = true,
            "Metaspace" => {
                let mark = json["replacement"].as_str().unwrap_or("▁");
                self.replace.push((mark.into(), " ".into()));
                let scheme = json["prepend_scheme"].as_str();
                self.strip_first = scheme.map_or(json["add_prefix_space"] != false, |scheme| scheme != "never");
            }
            other => return Err(unsupported("decoder", other)),
        }
        Ok(())
    }

    /// Bytes of a vocabulary entry.
    pub(super) fn bytes(&self, entry: &str, table: &BTreeMap<char, u8>) -> Vec<u8> {
        if self.byte_level {
            // An added token may have characters that stand for no byte; it is its own text then.
            let bytes: Option<Vec<u8>> = entry.chars().map(|c| table.get(&c).copied()).collect();
            return bytes.unwrap_or_else(|| entry.as_bytes().to_vec());
        }
        if self.byte_fallback && entry.len() == 6 {
            let hex = entry.strip_prefix("<0x").and_then(|e| e.strip_suffix('>'));
            if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                return vec![byte];
            }
        }
        let text = self.replace.iter().fold(entry.to_owned(), |text, (from, to)| text.replace(from, to));
        text.into_bytes()
    }
}

/// GPT-2's table: the character that stands for each byte, turned around.
pub(super) fn byte_table() -> BTreeMap<char, u8> {
    let plain = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let others = (0..=255u8).filter(|b| !plain(*b)).zip(256u32..);
    let others = others.filter_map(|(b, c)| Some((char::from_u32(c)?, b)));
    gather((0..=255u8).filter(|b| plain(*b)).map(|b| (char::from(b), b)).chain(others))
}

/// Bytes as they come, to text as soon as its characters are whole. What can never become a character is U+FFFD.
#[derive(Clone, Debug, Default)]
pub struct Utf8 {
    /// The start of a character; at most three bytes.
    pending: Vec<u8>,
}

impl Utf8 {
    /// The text that `bytes` completes.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(whole) => {
                    text += whole;
                    self.pending.clear();
                    return text;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    text += &String::from_utf8_lossy(&self.pending[..valid]);
                    let Some(bad) = error.error_len() else {
                        self.pending.drain(..valid);
                        return text;
                    };
                    text.push('\u{FFFD}');
                    self.pending.drain(..valid + bad);
                }
            }
        }
    }

    /// The end: an unfinished character is U+FFFD.
    pub fn finish(&mut self) -> &'static str {
        let unfinished = !self.pending.is_empty();
        self.pending.clear();
        if unfinished { "\u{FFFD}" } else { "" }
    }
}
