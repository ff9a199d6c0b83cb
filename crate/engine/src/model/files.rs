//! The small texts beside the weights: read once, bounded, and handed to the tokenizer and the chat template.

use std::rc::Rc;

use crate::error::{Error, Result};
use crate::model::gguf;
use crate::source::Source;

/// Texts of a model's folder, those that are there.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// `tokenizer.json`.
    pub tokenizer: Option<String>,
    /// `tokenizer_config.json`.
    pub tokenizer_config: Option<String>,
    /// `chat_template.jinja`.
    pub chat_template: Option<String>,
    /// `generation_config.json`.
    pub generation_config: Option<String>,
}

pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub(crate) const GENERATION: &str = "generation_config.json";

/// Names and largest sizes in bytes; large tokenizers of public models have about 20 MB.
pub(crate) const TEXTS: [(&str, u64); 4] =
    [(TOKENIZER, 64 << 20), (TOKENIZER_CONFIG, 16 << 20), ("chat_template.jinja", 1 << 20), (GENERATION, 1 << 20)];

impl Files {
    /// Reads what is there, of a checkpoint's folder, a pack or a GGUF.
    pub async fn read(source: &dyn Source) -> Result<Self> {
        Files::of(&gguf::folder(Rc::new(source)).await?).await
    }

    /// Reads what is in a folder.
    pub(crate) async fn of(source: &dyn Source) -> Result<Self> {
        let [tokenizer, tokenizer_config, chat_template, generation_config] = TEXTS;
        Ok(Files {
            tokenizer: text(source, tokenizer).await?,
            tokenizer_config: text(source, tokenizer_config).await?,
            chat_template: text(source, chat_template).await?,
            generation_config: text(source, generation_config).await?,
        })
    }
}

async fn text(source: &dyn Source, (file, limit): (&str, u64)) -> Result<Option<String>> {
    if !crate::weights::exists(source, file).await? {
        return Ok(None);
    }
    let bytes = source.read_all(file, limit).await?;
    let malformed = |e: std::string::FromUtf8Error| Error::Malformed {
        file: file.into(),
        field: "text".into(),
        reason: e.to_string(),
    };
    String::from_utf8(bytes).map(Some).map_err(malformed)
}
