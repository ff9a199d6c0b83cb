//! Names that come from files: cut for messages, and refused where they could leave the model's folder.

use crate::error::{Error, Result};

/// Longest part of a foreign text in a message, in characters.
const SHOWN: usize = 240;

/// `text` with control characters escaped, cut to a readable length.
pub(crate) fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// Refuses a file name that is not a plain name inside the model's folder.
pub(crate) fn check_file(listed_in: &str, field: &str, name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 255 || name.starts_with('.') || !name.chars().all(plain) {
        let reason = format!("\"{}\" is not the name of a file in the same folder", shown(name));
        return Err(Error::Malformed { file: listed_in.into(), field: field.into(), reason });
    }
    Ok(())
}
