//! A conversation's beginning that a pack has keys and values of, as its manifest lists it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::weights::{File, MANIFEST};

/// Most tokens of it, against manifests that are bombs.
const TOKENS: usize = 65_536;
/// Largest system prompt in bytes.
const TEXT: usize = 1 << 20;

/// Its system prompt, its tokens, and where what layers keep of them is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixAt {
    /// The system prompt that it is made of, which a chat has unless it is given another.
    pub system: String,
    /// The tokens that prompts with it begin with.
    pub tokens: Vec<u32>,
    /// The file, one of the manifest's: floats of each layer in turn, keys of all tokens and then their values, or latents, or the
    /// last rows of a convolution's input.
    pub file: String,
}

impl PrefixAt {
    /// Refuses one that is too large, or whose file `files` does not have.
    pub(super) fn check(&self, files: &[File]) -> Result<()> {
        let bounds =
            [("tokens of the prefix", self.tokens.len(), TOKENS), ("bytes of its system", self.system.len(), TEXT)];
        for (what, value, limit) in bounds {
            if value > limit {
                let (what, value, limit) = (format!("{what} in {MANIFEST}"), value as u64, limit as u64);
                return Err(Error::Limit { what, value, limit });
            }
        }
        let wrong = |reason: &str| {
            Err(Error::Malformed { file: MANIFEST.into(), field: "prefix".into(), reason: reason.into() })
        };
        if self.tokens.is_empty() {
            return wrong("has no tokens");
        }
        if !files.iter().any(|file| file.name == self.file) {
            return wrong("its file is not among the files");
        }
        Ok(())
    }
}
