//! Pre-tokenisation, with the split patterns run here: an exhausted regular expression is an error, not a wrong split.
//!
//! The `tokenizers` crate takes a pattern that hits its limit for one that found nothing more, and hands on the rest of
//! the text as one piece. The tokens are then wrong, and decode to the right text, so that nobody sees it.

use fancy_regex::Regex;
use serde_json::Value;
use tokenizers::pattern::Invert;
use tokenizers::{PreTokenizedString, PreTokenizer, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::parse;
use crate::error::{Error, Result};

/// The split of GPT-2, which a `ByteLevel` pre-tokenizer uses unless told otherwise (openai/gpt-2, `encoder.py`).
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Deepest nesting of sequences.
const MAX_DEPTH: usize = 8;
/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 1 << 14;

/// One stage of pre-tokenisation.
pub(super) enum Stage {
    /// A split by a pattern.
    Split { regex: Regex, behavior: SplitDelimiterBehavior, invert: bool },
    /// A space before texts that start without one.
    Prefix,
    /// Anything without patterns of its own.
    Other(PreTokenizerWrapper),
}

/// The stages of `pre_tokenizer` in tokenizer.json.
pub(super) fn stages(json: &Value) -> Result<Vec<Stage>> {
    let mut stages = Vec::new();
    collect(json, 0, &mut stages)?;
    Ok(stages)
}

fn collect(json: &Value, depth: usize, stages: &mut Vec<Stage>) -> Result<()> {
    if json.is_null() {
        return Ok(());
    }
    if depth > MAX_DEPTH {
        return Err(Error::Tokenizer(format!("pre_tokenizer: nested deeper than {MAX_DEPTH}")));
    }
    match json["type"].as_str().unwrap_or_default() {
        "Sequence" => {
            let parts = json["pretokenizers"].as_array();
            let parts = parts.ok_or_else(|| Error::Tokenizer("pre_tokenizer: pretokenizers: not a list".into()))?;
            return parts.iter().try_for_each(|part| collect(part, depth + 1, stages));
        }
        "Split" => {
            let pattern = &json["pattern"];
            let regex = match (pattern["Regex"].as_str(), pattern["String"].as_str()) {
                (Some(regex), _) => compile(regex)?,
                (None, Some(text)) => compile(&fancy_regex::escape(text))?,
                (None, None) => {
                    return Err(Error::Tokenizer("pre_tokenizer: pattern: neither Regex nor String".into()));
                }
            };
            let behavior = parse("pre_tokenizer.behavior", json["behavior"].clone())?;
            stages.push(Stage::Split { regex, behavior, invert: json["invert"].as_bool().unwrap_or(false) });
        }
        "ByteLevel" => {
            if json["add_prefix_space"].as_bool().unwrap_or(true) {
                stages.push(Stage::Prefix);
            }
            if json["use_regex"].as_bool().unwrap_or(true) {
                let behavior = SplitDelimiterBehavior::Isolated;
                stages.push(Stage::Split { regex: compile(GPT2)?, behavior, invert: false });
            }
            let bytes = tokenizers::pre_tokenizers::byte_level::ByteLevel::new(false, false, false);
            stages.push(Stage::Other(PreTokenizerWrapper::ByteLevel(bytes)));
        }
        "Digits" | "Metaspace" | "Punctuation" | "Whitespace" | "WhitespaceSplit" => {
            stages.push(Stage::Other(parse("pre_tokenizer", json.clone())?));
        }
        other => return Err(super::unsupported("pre-tokenizer", other)),
    }
    Ok(())
}

/// A pattern, refused when it is too long or matches nothing at all.
pub(super) fn compile(pattern: &str) -> Result<Regex> {
    if pattern.len() > MAX_PATTERN {
        let what = "length of a tokenizer pattern in bytes".into();
        return Err(Error::Limit { what, value: pattern.len() as u64, limit: MAX_PATTERN as u64 });
    }
    Regex::new(pattern).map_err(|e| Error::Tokenizer(format!("pattern {pattern:?}: {e}")))
}

impl Stage {
    /// Whether it turns texts into letters that stand for bytes.
    pub(super) fn makes_bytes(&self) -> bool {
        matches!(self, Stage::Other(PreTokenizerWrapper::ByteLevel(_)))
    }

    /// Runs the stage on every run that is not a token yet.
    pub(super) fn run(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        match self {
            Stage::Split { regex, behavior, invert: false } => text.split(|_, run| run.split(regex, *behavior)),
            Stage::Split { regex, behavior, invert: true } => text.split(|_, run| run.split(Invert(regex), *behavior)),
            Stage::Prefix => text.normalize(|run| {
                if !run.get().starts_with(' ') {
                    run.prepend(" ");
                }
                Ok(())
            }),
            Stage::Other(stage) => stage.pre_tokenize(text),
        }
    }
}
