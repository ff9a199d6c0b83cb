//! The tokenizer: text to token ids and back, from a model's tokenizer.json.
//!
//! Normalisation, pre-tokenisation and byte-pair merging are the `tokenizers` crate's; added tokens, split patterns and
//! decoding are done here, where an error is an error and a person's `<|end|>` stays text.

mod added;
mod check;
mod decode;
mod pattern;
mod split;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::normalizer::Range;
use tokenizers::{
    Model, ModelWrapper, NormalizedString, Normalizer, NormalizerWrapper, OffsetType, PreTokenizedString,
};

use crate::error::{Error, Result};
use crate::gather::gather;
use crate::model::Files;
use crate::session::Prompt;
use added::{Added, Finder};

pub use decode::Utf8;

/// Name of the file.
const FILE: &str = "tokenizer.json";
/// Longest text to encode, in bytes.
const MAX_TEXT: usize = 64 << 20;

/// A model's tokenizer.
pub struct Tokenizer {
    normalizer: Option<NormalizerWrapper>,
    stages: Vec<split::Stage>,
    model: ModelWrapper,
    /// Added tokens looked for in the text as given, and in the normalised text.
    plain: Finder,
    normalised: Finder,
    /// Ids and texts of control tokens.
    control_ids: BTreeMap<u32, String>,
    controls: Vec<String>,
    /// Bytes of every token; empty for ids that are none.
    bytes: Vec<Box<[u8]>>,
    strip_first: bool,
}

/// Parses a part of tokenizer.json.
fn parse<T: DeserializeOwned>(field: &str, json: Value) -> Result<T> {
    serde_json::from_value(json).map_err(|e| Error::Tokenizer(format!("{field}: {e}")))
}

fn unsupported(part: &str, kind: &str) -> Error {
    Error::Unsupported { what: format!("tokenizer {part} {kind:?}"), missing: "this engine does not do it".into() }
}

impl Tokenizer {
    /// The tokenizer of a model. [`Error::File`] where it has none, or one that cannot be read.
    pub fn of(files: &Files) -> Result<Self> {
        let missing =
            || Error::File { file: FILE.into(), reason: "no such file, and nothing to tokenise text with".into() };
        Tokenizer::new(files.tokenizer.as_deref().ok_or_else(missing)?.as_bytes())
    }

    /// A tokenizer from the bytes of tokenizer.json.
    pub fn new(json: &[u8]) -> Result<Self> {
        let mut json: Value = serde_json::from_slice(json).map_err(|e| Error::Tokenizer(format!("{FILE}: {e}")))?;
        // Taking a key of anything else panics in serde_json.
        if !json.is_object() || !json["model"].is_object() {
            return Err(Error::Tokenizer(format!("{FILE}: not an object with a model")));
        }
        let added: Vec<Added> = match json["added_tokens"].take() {
            Value::Null => Vec::new(),
            list => parse("added_tokens", list)?,
        };
        if let Some(wrong) = added.iter().find(|t| t.content.is_empty() || t.id as usize > check::MAX_VOCAB) {
            return Err(Error::Tokenizer(format!("added_tokens: {:?} with id {}", wrong.content, wrong.id)));
        }
        let decoder = decode::Decoder::new(&json["decoder"])?;
        let bytes = all_bytes(&json["model"]["vocab"], &added, &decoder)?;
        let control_ids: BTreeMap<u32, String> =
            gather(added.iter().filter(|t| t.control()).map(|t| (t.id, t.content.clone())));
        let controls: Vec<String> = control_ids.values().cloned().collect();
        let model: ModelWrapper = parse("model", check::model(json["model"].take(), &controls)?)?;
        check::normalizer(&json["normalizer"], 0)?;
        let normalizer: Option<NormalizerWrapper> = parse("normalizer", json["normalizer"].take())?;
        let stages = split::stages(&json["pre_tokenizer"])?;
        complete(&model, &stages)?;
        let (normalised, plain): (Vec<Added>, Vec<Added>) =
            added.into_iter().partition(|t| t.normalized && !t.control());
        let normalised = normalised.into_iter().map(|t| t.normalise(normalizer.as_ref())).collect::<Result<_>>()?;
        Ok(Tokenizer {
            normalizer,
            stages,
            model,
            plain: Finder::new(plain)?,
            normalised: Finder::new(normalised)?,
            control_ids,
            controls,
            bytes,
            strip_first: decoder.strip_first,
        })
    }

    /// Texts of the control tokens: what a template may write and a person may not.
    #[must_use]
    pub fn controls(&self) -> &[String] {
        &self.controls
    }

    /// Whether `id` is a control token, which is not part of an answer's text.
    #[must_use]
    pub fn is_control(&self, id: u32) -> bool {
        self.control_ids.contains_key(&id)
    }

    /// Id of the added or ordinary token with exactly this entry.
    #[must_use]
    pub fn id(&self, entry: &str) -> Option<u32> {
        let control = self.control_ids.iter().find(|(_, text)| *text == entry).map(|(id, _)| *id);
        control.or_else(|| self.model.token_to_id(entry))
    }

    /// One more than the highest id.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Ids of a text. Control tokens in it are text; nothing is added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let runs = self.plain.cut(text, |id| !self.is_control(id));
        self.encode_runs(text, &runs)
    }

    /// Ids of a rendered template: control tokens where the template wrote them, and only there.
    pub fn encode_prompt(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        // Runs are found in the guarded text, where messages hold no control token, and moved to the restored one.
        let guarded = self.plain.cut(prompt.guarded(), |_| true);
        let (mut text, mut runs) = (String::new(), Vec::with_capacity(guarded.len()));
        for (range, id) in guarded {
            let start = text.len();
            text += &prompt.restore(&prompt.guarded()[range]);
            runs.push((start..text.len(), id));
        }
        self.encode_runs(&text, &runs)
    }

    fn encode_runs(&self, text: &str, runs: &[added::Run]) -> Result<Vec<u32>> {
        if text.len() > MAX_TEXT {
            let what = "length of the text in bytes".into();
            return Err(Error::Limit { what, value: text.len() as u64, limit: MAX_TEXT as u64 });
        }
        let encode = || -> tokenizers::Result<Vec<u32>> {
            let mut pieces = PreTokenizedString::from(text);
            pieces.split(|_, whole| Ok(cut(&whole, runs)))?;
            if let Some(normalizer) = &self.normalizer {
                pieces.normalize(|run| normalizer.normalize(run))?;
            }
            if !self.normalised.is_empty() {
                pieces.split(|_, run| Ok(cut(&run, &self.normalised.cut(run.get(), |_| true))))?;
            }
            for stage in &self.stages {
                stage.run(&mut pieces)?;
            }
            pieces.tokenize(|run| self.model.tokenize(run.get()))?;
            Ok(pieces.into_encoding(None, 0, OffsetType::None)?.get_ids().to_vec())
        };
        encode().map_err(|e| Error::Tokenizer(e.to_string()))
    }

    /// Bytes of a token; none for an id that is no token.
    #[must_use]
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// Text of whole tokens, control tokens included.
    #[must_use]
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut stream = self.stream();
        let mut text: String = ids.iter().map(|id| stream.push(self, *id)).collect();
        text += stream.finish();
        text
    }

    /// A stream of text from tokens.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream { utf8: Utf8::default(), strip: self.strip_first }
    }
}

/// Tokens to text as they come; never half a character.
#[derive(Clone, Debug)]
pub struct Stream {
    utf8: Utf8,
    /// A leading space is still to be dropped.
    strip: bool,
}

impl Stream {
    /// The text that a token completes.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> String {
        let mut bytes = tokenizer.bytes(id);
        if self.strip && !bytes.is_empty() {
            self.strip = false;
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.utf8.push(bytes)
    }

    /// The end: an unfinished character is U+FFFD.
    pub fn finish(&mut self) -> &'static str {
        self.utf8.finish()
    }
}

/// A text cut into runs, those of added tokens with their token.
fn cut(text: &NormalizedString, runs: &[added::Run]) -> Vec<(NormalizedString, Option<Vec<tokenizers::Token>>)> {
    let piece = |(range, id): &added::Run| {
        let run = text.slice(Range::Normalized(range.clone()))?;
        let token = |id| vec![tokenizers::Token::new(id, String::new(), (0, 0))];
        Some((run, id.map(token)))
    };
    runs.iter().filter_map(piece).collect()
}

/// Refuses a vocabulary that would silently lose text: what no entry stands for is dropped by the model.
fn complete(model: &ModelWrapper, stages: &[split::Stage]) -> Result<()> {
    let ModelWrapper::BPE(bpe) = model else { return Ok(()) };
    let missing = if stages.iter().any(split::Stage::makes_bytes) {
        decode::byte_table().keys().map(char::to_string).find(|letter| model.token_to_id(letter).is_none())
    } else if bpe.unk_token.is_some() {
        None
    } else if bpe.byte_fallback {
        (0..=255u8).map(|byte| format!("<0x{byte:02X}>")).find(|entry| model.token_to_id(entry).is_none())
    } else {
        Some("unk_token".into())
    };
    missing.map_or(Ok(()), |entry| Err(Error::Tokenizer(format!("model.vocab: {entry:?} is missing"))))
}

/// Bytes of every token by id.
fn all_bytes(vocab: &Value, added: &[Added], decoder: &decode::Decoder) -> Result<Vec<Box<[u8]>>> {
    let vocab = vocab.as_object().ok_or_else(|| Error::Tokenizer("model.vocab: not an object".into()))?;
    let table = decode::byte_table();
    let entries = vocab.iter().map(|(text, id)| (text, id.as_u64().unwrap_or(u64::MAX)));
    let entries = entries.chain(added.iter().map(|t| (&t.content, u64::from(t.id))));
    let mut bytes = Vec::new();
    let mut owners: Vec<Option<&String>> = Vec::new();
    for (text, id) in entries {
        let id = usize::try_from(id).ok().filter(|id| *id <= check::MAX_VOCAB);
        let id = id.ok_or_else(|| Error::Tokenizer(format!("model.vocab: {text:?}: its id is out of range")))?;
        if bytes.len() <= id {
            bytes.resize(id + 1, Box::default());
            owners.resize(id + 1, None);
        }
        if owners[id].is_some_and(|owner| owner != text) {
            return Err(Error::Tokenizer(format!("{text:?} and {:?} both have id {id}", owners[id].unwrap_or(text))));
        }
        owners[id] = Some(text);
        bytes[id] = decoder.bytes(text, &table).into_boxed_slice();
    }
    Ok(bytes)
}
