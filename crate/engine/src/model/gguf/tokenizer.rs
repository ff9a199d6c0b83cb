//! The vocabulary of a GGUF as the tokenizer.json that it was made from.
//!
//! Lost on the way into a GGUF, and so not to be had from it: whether an added token takes the white space beside it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Meta;
use super::object::Object;
use super::split::split;
use crate::error::{Error, Result};
use crate::weights::shown;

const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";
const MERGES: &str = "tokenizer.ggml.merges";
/// Most tokens.
const MOST: usize = 1 << 20;

/// Kinds of tokens.
mod kind {
    pub(super) const NORMAL: i64 = 1;
    pub(super) const UNKNOWN: i64 = 2;
    pub(super) const CONTROL: i64 = 3;
    pub(super) const ADDED: i64 = 4;
    pub(super) const UNUSED: i64 = 5;
    pub(super) const BYTE: i64 = 6;
}

/// The vocabulary: its tokens and their kinds.
struct Vocabulary<'a> {
    tokens: &'a [String],
    kinds: &'a [i64],
}

/// tokenizer.json, as it would be; `None` for a file without a vocabulary.
pub(super) fn tokenizer(meta: &Meta<'_>) -> Result<Option<Value>> {
    let Some(vocabulary) = vocabulary(meta)? else { return Ok(None) };
    let model = meta.text("tokenizer.ggml.model")?.unwrap_or("none");
    match model {
        "gpt2" => byte_pairs(meta, &vocabulary).map(Some),
        "llama" => sentence_pieces(meta, &vocabulary).map(Some),
        other => {
            let what = format!("tokenizer.ggml.model = {other}");
            Err(meta.unsupported(&what, "tokenizers are gpt2 (pairs of bytes) or llama (SentencePiece)"))
        }
    }
}

/// Tokens and kinds, checked against each other and the embedding.
#[inline(never)]
fn vocabulary<'a>(meta: &Meta<'a>) -> Result<Option<Vocabulary<'a>>> {
    let (header, file) = (meta.header(), meta.file);
    let Some(tokens) = header.texts(file, TOKENS)? else { return Ok(None) };
    if tokens.len() > MOST {
        return Err(Error::Limit {
            what: format!("{TOKENS} of {file}"),
            value: tokens.len() as u64,
            limit: MOST as u64,
        });
    }
    let rows = meta.tensor("token_embd.weight").map_or(0, |(_, info)| info.shape[0]);
    if tokens.len() as u64 > rows {
        let reason = format!("has {} tokens, the embedding has {rows} rows", tokens.len());
        return Err(Error::config(file, TOKENS, reason));
    }
    let kinds = header.wholes(file, TYPES)?.unwrap_or_default();
    if kinds.len() != tokens.len() {
        let reason = format!("has {} kinds for {} tokens", kinds.len(), tokens.len());
        return Err(Error::config(file, TYPES, reason));
    }
    let mut ids = HashMap::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        if let Some(first) = ids.insert(token.as_str(), id) {
            return Err(Error::config(file, TOKENS, format!("\"{}\" has the ids {first} and {id}", shown(token))));
        }
        if token.is_empty() || !(kind::NORMAL..=kind::BYTE).contains(&kinds[id]) {
            let reason = format!("token {id}, \"{}\", has the kind {}", shown(token), kinds[id]);
            return Err(Error::config(file, TYPES, reason));
        }
    }
    Ok(Some(Vocabulary { tokens, kinds }))
}

impl Vocabulary<'_> {
    /// Tokens that are used, with their ids and kinds.
    fn used(&self) -> impl Iterator<Item = (usize, &str, i64)> {
        let all = self.tokens.iter().zip(self.kinds).enumerate();
        all.map(|(id, (token, kind))| (id, token.as_str(), *kind)).filter(|(.., kind)| *kind != kind::UNUSED)
    }

    /// `vocab` of tokenizer.json.
    #[inline(never)]
    fn vocab(&self) -> Value {
        Value::Object(self.used().map(|(id, token, _)| (token.to_owned(), id.into())).collect::<Map<_, _>>())
    }

    /// `added_tokens` of tokenizer.json.
    #[inline(never)]
    fn added(&self) -> Value {
        let added = |(id, token, kind): (usize, &str, i64)| {
            let special = kind != kind::ADDED;
            let mut out = Object::default();
            out.put("id", id);
            out.put("content", token);
            out.put("special", special);
            Value::from(out)
        };
        let kinds = [kind::CONTROL, kind::ADDED, kind::UNKNOWN];
        self.used().filter(|(.., kind)| kinds.contains(kind)).map(added).collect::<Vec<_>>().into()
    }
}

/// Pairs of bytes, as GPT-2 has them.
fn byte_pairs(meta: &Meta<'_>, vocabulary: &Vocabulary<'_>) -> Result<Value> {
    const PRE: &str = "tokenizer.ggml.pre";
    let name = meta.text(PRE)?.unwrap_or("absent");
    let split = split(name).ok_or_else(|| {
        meta.unsupported(&format!("{PRE} = {name}"), "text is split as the families here have it, and no other way")
    })?;
    let merges = meta.header().texts(meta.file, MERGES)?;
    let merges = merges.ok_or_else(|| Error::config(meta.file, MERGES, "is missing"))?;
    let mut stages = split.stages;
    stages.push(Object::of(r#"{ "type": "ByteLevel", "add_prefix_space": false, "use_regex": false }"#).into());
    let mut model = Object::of(r#"{ "type": "BPE" }"#);
    model.put("ignore_merges", split.ignore_merges);
    let mut pre = Object::of(r#"{ "type": "Sequence" }"#);
    pre.put("pretokenizers", stages);
    let mut out = Object::of(r#"{ "decoder": { "type": "ByteLevel" } }"#);
    if split.composed {
        out.put("normalizer", Object::of(r#"{ "type": "NFC" }"#));
    }
    out.put("pre_tokenizer", pre);
    Ok(whole(out, model, vocabulary, merges.into()))
}

/// tokenizer.json of its parts.
fn whole(mut out: Object, mut model: Object, vocabulary: &Vocabulary<'_>, merges: Value) -> Value {
    model.put("vocab", vocabulary.vocab());
    model.put("merges", merges);
    out.put("model", model);
    out.put("added_tokens", vocabulary.added());
    out.into()
}

/// Pieces of SentencePiece with scores, merged by them.
fn sentence_pieces(meta: &Meta<'_>, vocabulary: &Vocabulary<'_>) -> Result<Value> {
    let scores = meta.header().numbers(meta.file, SCORES)?.unwrap_or_default();
    if scores.len() != vocabulary.tokens.len() {
        let reason = format!("has {} scores for {} tokens", scores.len(), vocabulary.tokens.len());
        return Err(Error::config(meta.file, SCORES, reason));
    }
    let unknown = vocabulary.used().find(|(.., kind)| *kind == kind::UNKNOWN).map(|(_, token, _)| token);
    let prefix = meta.flag("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
    let mut model = Object::of(r#"{ "type": "BPE", "fuse_unk": true, "byte_fallback": true }"#);
    if let Some(unknown) = unknown {
        model.put("unk_token", unknown);
    }
    let out = Object::of(if prefix { PREFIXED } else { PLAIN });
    Ok(whole(out, model, vocabulary, merges(vocabulary, scores)))
}

/// What comes before and after pieces, with a space before the first, and without.
const PREFIXED: &str = r#"{
    "normalizer": { "type": "Sequence", "normalizers": [
        { "type": "Prepend", "prepend": "▁" },
        { "type": "Replace", "pattern": { "String": " " }, "content": "▁" }
    ] },
    "decoder": { "type": "Sequence", "decoders": [
        { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
        { "type": "ByteFallback" },
        { "type": "Fuse" },
        { "type": "Strip", "content": " ", "start": 1, "stop": 0 }
    ] }
}"#;
const PLAIN: &str = r#"{
    "normalizer": { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
    "decoder": { "type": "Sequence", "decoders": [
        { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
        { "type": "ByteFallback" },
        { "type": "Fuse" }
    ] }
}"#;

/// The pairs of pieces that make a piece, those of the best piece first; of one piece those with the longer left part.
#[inline(never)]
fn merges(vocabulary: &Vocabulary<'_>, scores: &[f32]) -> Value {
    let normal = || vocabulary.used().filter(|(.., kind)| *kind == kind::NORMAL);
    let pieces: HashMap<&str, usize> = normal().map(|(id, piece, _)| (piece, id)).collect();
    // One number a pair, which orders them and says which one it is: the score, larger first, how long the left part is, and
    // then the right one, longer first, the piece, and where it is cut.
    let mut pairs: Vec<u128> = Vec::new();
    for (id, piece, _) in normal() {
        let characters = piece.chars().count() as u128;
        for (left, (at, _)) in piece.char_indices().enumerate().skip(1) {
            let (a, b) = piece.split_at(at);
            if pieces.contains_key(a) && pieces.contains_key(b) {
                let left = left as u128;
                let longest = u128::from(u16::MAX);
                let [left, right] = [left, characters - left].map(|n| longest - n.min(longest));
                let score = u128::from(u32::MAX - ascending(scores[id]));
                pairs.push(score << 96 | left << 80 | right << 64 | (id as u128) << 32 | at as u128);
            }
        }
    }
    pairs.sort_unstable();
    let pair = |pair: u128| {
        let (a, b) = vocabulary.tokens[(pair >> 32) as u32 as usize].split_at(pair as u32 as usize);
        Value::from(vec![a, b])
    };
    pairs.into_iter().map(pair).collect::<Vec<_>>().into()
}

/// A number that grows with a float.
fn ascending(v: f32) -> u32 {
    let bits = v.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// Ids that end an answer: those that the file names, and those that families end their turns with under other names.
pub(super) fn ends(meta: &Meta<'_>) -> Result<Vec<u64>> {
    const ENDS: [&str; 7] =
        ["<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "<|return|>", "<｜end▁of▁sentence｜>"];
    let mut ids = Vec::new();
    for key in ["eos", "eot", "eom"] {
        ids.extend(meta.token(key)?);
    }
    let tokens = meta.tokens();
    let kinds = meta.header().wholes(meta.file, TYPES)?.unwrap_or_default();
    // Where answers have several channels, `<|end|>` ends only one of them.
    let channels = tokens.iter().any(|token| token == "<|channel|>");
    for (id, token) in tokens.iter().enumerate() {
        let control = kinds.get(id) == Some(&kind::CONTROL);
        if control && ENDS.contains(&token.as_str()) && !(channels && token == "<|end|>") {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids.into_iter().map(|id| id as u64).collect())
}
