//! A GGUF as a checkpoint's folder: its metadata say what config.json, tokenizer.json and the chat template would, and its
//! tensors stand under the names that the families have.

mod config;
mod meta;
mod names;
mod object;
mod split;
mod tensors;
mod tokenizer;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::gather::gather;
use crate::model::files::{GENERATION, TOKENIZER, TOKENIZER_CONFIG};
use crate::model::load::CONFIG;
use crate::source::Source;
use crate::weights::{Verified, gguf};
use meta::Meta;
use object::Object;

pub(crate) use tensors::index;

/// The folder of `source`: of checkpoints and packs as it is, of a GGUF as its header says.
pub(crate) async fn folder<'a>(source: Rc<dyn Source + 'a>) -> Result<Verified<'a>> {
    let Some(file) = source.gguf() else { return Verified::over(source).await };
    let mut headers = gguf::read_all(source.as_ref(), file).await?;
    let texts = texts(source.as_ref(), &headers).await?;
    let arch = Meta::new(&headers)?.arch.to_owned();
    // The vocabulary is in a text now.
    for (_, header) in &mut headers {
        header.metadata.clear();
    }
    Ok(Verified::of_gguf(source, arch, headers, texts))
}

/// The texts that the metadata make.
async fn texts(source: &dyn Source, headers: &[(String, gguf::Header)]) -> Result<BTreeMap<&'static str, Vec<u8>>> {
    let meta = Meta::new(headers)?;
    let config = config::config(&meta, source).await?;
    let mut files = vec![(CONFIG, config.into()), (GENERATION, generation(&meta)?)];
    if let Some(tokenizer) = tokenizer::tokenizer(&meta)? {
        files.push((TOKENIZER, tokenizer));
    }
    files.push((TOKENIZER_CONFIG, tokenizer_config(&meta)?));
    let text = |(name, value): (&'static str, Value)| {
        let malformed = |e: serde_json::Error| Error::Malformed {
            file: meta.file.into(),
            field: name.into(),
            reason: e.to_string(),
        };
        Ok((name, serde_json::to_vec(&value).map_err(malformed)?))
    };
    let files: Vec<_> = files.into_iter().map(text).collect::<Result<_>>()?;
    Ok(gather(files))
}

/// What generation_config.json would say.
fn generation(meta: &Meta<'_>) -> Result<Value> {
    const KEYS: [(&str, &str); 5] = [
        ("temp", "temperature"),
        ("top_p", "top_p"),
        ("min_p", "min_p"),
        ("top_k", "top_k"),
        ("penalty_repeat", "repetition_penalty"),
    ];
    let mut out = Object::default();
    for (key, name) in KEYS {
        let key = format!("general.sampling.{key}");
        if name == "top_k" {
            // Below 0 it is off.
            if let Some(k) = meta.number_at(&key)? {
                out.put(name, k.max(0.0) as u64);
            }
        } else if let Some(number) = meta.number_at(&key)? {
            out.put(name, number);
        }
    }
    Ok(out.into())
}

/// What tokenizer_config.json would say: the chat template, and the special tokens that it may name.
fn tokenizer_config(meta: &Meta<'_>) -> Result<Value> {
    let mut out = Object::default();
    if let Some(template) = meta.text("tokenizer.chat_template")? {
        out.put("chat_template", template);
    }
    for (key, name) in [("bos", "bos_token"), ("eos", "eos_token"), ("unknown", "unk_token"), ("padding", "pad_token")]
    {
        if let Some(text) = meta.token(key)?.and_then(|id| meta.tokens().get(id)) {
            out.put(name, text.as_str());
        }
    }
    Ok(out.into())
}
