//! Pre-tokenisation, with the split patterns run by [`Pattern`].

use serde_json::Value;
use tokenizers::pattern::Invert;
use tokenizers::{PreTokenizedString, PreTokenizer, PreTokenizerWrapper, SplitDelimiterBehavior};

use super::parse;
use super::pattern::Pattern;
use crate::error::{Error, Result};

/// The split of GPT-2, which a `ByteLevel` pre-tokenizer uses unless told otherwise (openai/gpt-2, `encoder.py`).
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Deepest nesting of sequences.
const MAX_DEPTH: usize = 8;

/// One stage of pre-tokenisation.
pub(super) enum Stage {
    /// A split by a pattern.
    Split { pattern: Pattern, behavior: SplitDelimiterBehavior, invert: bool },
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
            let pattern = match (pattern["Regex"].as_str(), pattern["String"].as_str()) {
                (Some(regex), _) => Pattern::new(regex)?,
                (None, Some(text)) => Pattern::new(&regex::escape(text))?,
                (None, None) => {
                    return Err(Error::Tokenizer("pre_tokenizer: pattern: neither Regex nor String".into()));
                }
            };
            let behavior = parse("pre_tokenizer.behavior", json["behavior"].clone())?;
            stages.push(Stage::Split { pattern, behavior, invert: json["invert"].as_bool().unwrap_or(false) });
        }
        "ByteLevel" => {
            if json["add_prefix_space"].as_bool().unwrap_or(true) {
                stages.push(Stage::Prefix);
            }
            if json["use_regex"].as_bool().unwrap_or(true) {
                let behavior = SplitDelimiterBehavior::Isolated;
                stages.push(Stage::Split { pattern: Pattern::new(GPT2)?, behavior, invert: false });
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

impl Stage {
    /// Whether it turns texts into letters that stand for bytes.
    pub(super) fn makes_bytes(&self) -> bool {
        matches!(self, Stage::Other(PreTokenizerWrapper::ByteLevel(_)))
    }

    /// Runs the stage on every run that is not a token yet.
    pub(super) fn run(&self, text: &mut PreTokenizedString) -> tokenizers::Result<()> {
        match self {
            Stage::Split { pattern, behavior, invert: false } => text.split(|_, run| run.split(pattern, *behavior)),
            Stage::Split { pattern, behavior, invert: true } => {
                text.split(|_, run| run.split(Invert(pattern), *behavior))
            }
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
