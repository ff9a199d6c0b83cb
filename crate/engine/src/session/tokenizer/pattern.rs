//! Split patterns: an exhausted regular expression is an error, not a wrong split, and those of published models are never exhausted.
//!
//! The `tokenizers` crate takes a pattern that hits its limit for one that found nothing more, and hands on the rest of
//! the text as one piece. The tokens are then wrong, and decode to the right text, so that nobody sees it.

use crate::error::{Error, Result};

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 1 << 14;
/// How most patterns end: white space up to the last character before a word, or all of it. The only part that looks ahead, and so
/// the one for which an engine would have to go back through the whole run.
const SPACES: &str = r"|\s+(?!\S)|\s+";
/// What stands before that where ends of lines go by themselves.
const LINES: &str = r"|\s*[\r\n]+";

/// A pattern.
pub(super) enum Pattern {
    /// One that takes linear time; `spaces` where it ended in [`SPACES`], `lines` where that came after [`LINES`].
    Linear { regex: regex::Regex, spaces: bool, lines: bool },
    /// One that goes back, up to a limit.
    Fancy(fancy_regex::Regex),
}

impl Pattern {
    /// A pattern, refused when it is too long or none.
    pub(super) fn new(pattern: &str) -> Result<Self> {
        if pattern.len() > MAX_PATTERN {
            let what = "length of a tokenizer pattern in bytes".into();
            return Err(Error::Limit { what, value: pattern.len() as u64, limit: MAX_PATTERN as u64 });
        }
        let head = pattern.strip_suffix(SPACES);
        let linear = head.map_or_else(|| pattern.to_owned(), |head| format!(r"{head}|\s+"));
        if let Ok(regex) = regex::Regex::new(&linear) {
            let lines = head.is_some_and(|head| head.ends_with(LINES));
            return Ok(Pattern::Linear { regex, spaces: head.is_some(), lines });
        }
        let regex = fancy_regex::Regex::new(pattern);
        regex.map(Pattern::Fancy).map_err(|e| Error::Tokenizer(format!("pattern {pattern:?}: {e}")))
    }

    /// The first match from `start` on.
    fn find(&self, text: &str, start: usize) -> tokenizers::Result<Option<(usize, usize)>> {
        match self {
            Pattern::Fancy(regex) => Ok(regex.find_from_pos(text, start)?.map(|m| (m.start(), m.end()))),
            Pattern::Linear { regex, spaces, lines } => Ok(regex.find_at(text, start).map(|m| {
                let (found, mut end) = (m.as_str(), m.end());
                let last = found.chars().next_back().filter(|c| c.is_whitespace() && *spaces);
                // A run that ends a line was found by that alternative, which comes first.
                let run = |last: char| !(*lines && matches!(last, '\r' | '\n')) && found.trim_start().is_empty();
                if let Some(last) = last.filter(|last| run(*last) && found.len() > last.len_utf8()) {
                    // What comes after a run is no white space: the last of the run goes with it.
                    end -= if end < text.len() { last.len_utf8() } else { 0 };
                }
                (m.start(), end)
            })),
        }
    }
}

impl tokenizers::pattern::Pattern for &Pattern {
    /// The whole text as matches and what lies between them.
    fn find_matches(&self, text: &str) -> tokenizers::Result<Vec<((usize, usize), bool)>> {
        if text.is_empty() {
            return Ok(vec![((0, 0), false)]);
        }
        let (mut all, mut done, mut from) = (Vec::new(), 0, 0);
        while from <= text.len()
            && let Some((start, end)) = self.find(text, from)?
        {
            from = end;
            if start == end {
                from += text[end..].chars().next().map_or(1, char::len_utf8);
                // Nothing is not found where something ended.
                if end == done && done > 0 {
                    continue;
                }
            }
            if done < start {
                all.push(((done, start), false));
            }
            all.push(((start, end), true));
            done = end;
        }
        if done < text.len() {
            all.push(((done, text.len()), false));
        }
        Ok(all)
    }
}
