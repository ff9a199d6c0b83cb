//! Added tokens: texts that become one token before anything else looks at them.

use serde::Deserialize;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

use crate::error::{Error, Result};

/// An entry of `added_tokens` in tokenizer.json.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Added {
    /// Its id.
    pub(super) id: u32,
    /// Its text.
    pub(super) content: String,
    /// Only between characters that are not of words.
    #[serde(default)]
    single_word: bool,
    /// Takes white space before it.
    #[serde(default)]
    lstrip: bool,
    /// Takes white space after it.
    #[serde(default)]
    rstrip: bool,
    /// Looked for in the normalised text (else in the text as given).
    #[serde(default)]
    pub(super) normalized: bool,
    /// A control token by declaration.
    #[serde(default)]
    pub(super) special: bool,
}

impl Added {
    /// The token as it stands in normalised text.
    pub(super) fn normalise(mut self, normalizer: Option<&NormalizerWrapper>) -> Result<Self> {
        if let Some(normalizer) = normalizer {
            let mut text = NormalizedString::from(self.content.as_str());
            normalizer.normalize(&mut text).map_err(|e| Error::Tokenizer(format!("added_tokens: {e}")))?;
            self.content = text.get().to_owned();
        }
        Ok(self)
    }

    /// Whether its text has a meaning a person must not be able to type: declared special, or in brackets, as thinking
    /// and tool marks are, which many files do not declare.
    pub(super) fn control(&self) -> bool {
        let bracketed = |open: char, close: char| self.content.starts_with(open) && self.content.ends_with(close);
        self.special || (self.content.len() > 2 && (bracketed('<', '>') || bracketed('[', ']')))
    }
}

/// A run of text and the added token it is, if it is one.
pub(super) type Run = (std::ops::Range<usize>, Option<u32>);

/// Finds added tokens in a text, the longest of the first.
pub(super) struct Finder {
    tokens: Vec<Added>,
    search: Option<aho_corasick::AhoCorasick>,
}

impl Finder {
    /// A finder of `tokens`.
    pub(super) fn new(tokens: Vec<Added>) -> Result<Self> {
        let texts = tokens.iter().map(|t| &t.content);
        let mut builder = aho_corasick::AhoCorasick::builder();
        let search = builder.match_kind(aho_corasick::MatchKind::LeftmostLongest).build(texts);
        let search = search.map_err(|e| Error::Tokenizer(format!("added tokens: {e}")))?;
        Ok(Finder { search: (!tokens.is_empty()).then_some(search), tokens })
    }

    /// Whether there is nothing to find.
    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Cuts `text` into runs, of which the added tokens among those that `allowed` says.
    pub(super) fn cut(&self, text: &str, allowed: impl Fn(u32) -> bool) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut done = 0;
        for found in self.search.iter().flat_map(|search| search.find_iter(text)) {
            let token = &self.tokens[found.pattern().as_usize()];
            let (mut start, mut end) = (found.start(), found.end());
            // Where a token before took the white space in front, it is taken.
            if start < done || !allowed(token.id) || (token.single_word && !alone(text, start, end)) {
                continue;
            }
            if token.lstrip {
                start = text[..start].trim_end().len().max(done);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if done < start {
                runs.push((done..start, None));
            }
            runs.push((start..end, Some(token.id)));
            done = end;
        }
        if done < text.len() {
            runs.push((done..text.len(), None));
        }
        runs
    }
}

/// Whether no character of a word touches `start..end`.
fn alone(text: &str, start: usize, end: usize) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    !text[..start].ends_with(word) && !text[end..].starts_with(word)
}
