//! Broken GGUFs: each is refused with a typed error that names what is wrong, before memory is taken for what it says.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "hostile/apart.rs"]
mod apart;
mod packed;

use std::rc::Rc;

use apart::{Apart, text};
use moebius_engine::Error;
use moebius_engine::device::Cpu;
use moebius_engine::model::{Files, LoadOptions, Model};
use moebius_engine::session::{Template, Tokenizer};
use moebius_engine::source::Memory;
use moebius_engine::weights::{Precision, gguf};
use moebius_tests::{Random, bytes, json};
use packed::packed;

const FILE: &str = "model.gguf";
/// One with experts, shared ones among them.
const BASE: &str = "gguf/qwen2_moe-q8_0.gguf";

fn memory(file: Vec<u8>) -> Memory {
    let mut memory = Memory::default();
    memory.insert(FILE, file);
    memory.gguf = Some(FILE.into());
    memory
}

/// Loads a model, and makes of its texts what a session does.
fn open(file: Vec<u8>) -> Result<(), Error> {
    let source = memory(file);
    let options = LoadOptions { context: Some(32), ..LoadOptions::default() };
    let model = pollster::block_on(Model::load(&source, Rc::new(Cpu), &options, &mut |_| {}))?;
    texts(&model.files)
}

fn texts(files: &Files) -> Result<(), Error> {
    if let Some(tokenizer) = &files.tokenizer {
        Tokenizer::new(tokenizer.as_bytes())?;
    }
    Template::of(files).map(drop)
}

/// A change, the codes of which one must come, and a text that the message must have.
type Case = (&'static str, Box<dyn Fn(&mut Apart)>, &'static [&'static str], &'static str);

fn case(
    name: &'static str,
    codes: &'static [&'static str],
    names: &'static str,
    change: impl Fn(&mut Apart) + 'static,
) -> Case {
    (name, Box::new(change), codes, names)
}

const BAD: &[&str] = &["malformed"];
const OVER: &[&str] = &["limit", "malformed"];
const TENSOR: &[&str] = &["tensor"];
const CONFIG: &[&str] = &["config"];
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
/// A tensor of blocks.
const Q: &str = "blk.0.attn_q.weight";

/// The header, and values of keys.
fn headers() -> Vec<Case> {
    vec![
        case("magic", BAD, "magic", |g| g.magic = b"GGML".to_vec()),
        case("version 1", &["unsupported"], "version 1", |g| g.version = 1),
        case("version 4", &["unsupported"], "version 4", |g| g.version = 4),
        case("big-endian", &["unsupported"], "big-endian", |g| g.version = 3u32.swap_bytes()),
        case("tensors without end", OVER, "tensor count", |g| g.counts[0] = Some(1 << 63)),
        case("tensors beyond the file", OVER, "tensor count", |g| g.counts[0] = Some(190_000)),
        case("a tensor more", &["malformed", "limit", "tensor"], FILE, |g| {
            g.counts[0] = Some(g.tensors.len() as u64 + 1)
        }),
        case("keys without end", OVER, "key count", |g| g.counts[1] = Some(u64::MAX)),
        case("a key more", &["malformed", "limit"], FILE, |g| g.counts[1] = Some(g.keys.len() as u64 + 1)),
        case("a key fewer", &["malformed", "limit", "tensor"], FILE, |g| g.counts[1] = Some(g.keys.len() as u64 - 1)),
        case("empty key", BAD, "key 1", |g| g.keys[1].0.clear()),
        case("long key", &["limit"], "key 1", |g| g.keys[1].0 = vec![b'k'; 300]),
        case("key of no text", BAD, "UTF-8", |g| g.keys[1].0 = vec![0xFF, 0xFE]),
        case("key twice", BAD, "twice", |g| g.keys[2] = g.keys[1].clone()),
        case("unknown type", BAD, "unknown type 13", |g| g.put("general.name", 13, [0; 8])),
        case("text without end", OVER, "general.name", |g| g.put("general.name", 8, u64::MAX.to_le_bytes())),
        case("text beyond the file", OVER, "general.name", |g| g.put("general.name", 8, 1_000_000u64.to_le_bytes())),
        case("text over the limit", &["limit"], "general.name", |g| g.text("general.name", &"x".repeat((1 << 20) + 1))),
        case("no text", BAD, "UTF-8", |g| g.put("general.name", 8, text(&[0xC3, 0x28]))),
        case("flag 2", BAD, "flag 2", |g| g.put("general.name", 7, [2])),
        case("list of lists", BAD, "list of lists", |g| g.put("general.name", 9, list(9, 1, &[8, 0, 0, 0]))),
        case("list of nothing known", BAD, "unknown type 77", |g| g.put("general.name", 9, list(77, 1, &[0]))),
        case("list without end", OVER, "general.name", |g| g.put("general.name", 9, list(0, 1 << 63, &[0]))),
        case("texts without end", OVER, "general.name", |g| g.put("general.name", 9, list(8, 1 << 61, &[0]))),
        case("numbers that overflow", OVER, "general.name", |g| g.put("general.name", 9, list(10, 1 << 61, &[0]))),
        case("list beyond the file", BAD, "general.name", |g| g.put("general.name", 9, list(4, 10_000_000, &[0]))),
        case("whole number over 63 bits", BAD, "64 bits", |g| g.put("general.name", 9, list(10, 1, &[0xFF; 8]))),
        case("alignment 0", BAD, "general.alignment", |g| g.number("general.alignment", 0)),
        case("alignment 3", BAD, "general.alignment", |g| g.number("general.alignment", 3)),
        case("alignment 2^31", BAD, "general.alignment", |g| g.number("general.alignment", 1 << 31)),
        case("alignment below 0", BAD, "general.alignment", |g| g.put("general.alignment", 5, (-32i32).to_le_bytes())),
        case("alignment a text", BAD, "general.alignment", |g| g.text("general.alignment", "32")),
        case("files without end", &["limit"], "files of", |g| g.put("split.count", 10, (1u64 << 40).to_le_bytes())),
        case("second file missing", &["malformed"], "split.no", |g| g.put("split.count", 2, 2u16.to_le_bytes())),
        case("tensors elsewhere", BAD, "split.tensors.count", |g| g.number("split.tensors.count", 7)),
    ]
}

fn list(kind: u32, count: u64, values: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &count.to_le_bytes(), values].concat()
}

fn tensors() -> Vec<Case> {
    vec![
        case("no name", BAD, "no name", |g| g.tensors[0].name.clear()),
        case("name without end", OVER, "tensor 0", |g| g.tensors[0].length = Some(u64::MAX)),
        case("name of no text", BAD, "UTF-8", |g| g.tensors[0].name = vec![0xFF]),
        case("tensor twice", TENSOR, "twice", |g| g.tensors[1].name = g.tensors[0].name.clone()),
        case("no dimensions", TENSOR, "0 dimensions", |g| (g.tensors[0].rank, g.tensors[0].shape) = (Some(0), vec![])),
        case("five dimensions", TENSOR, "5 dimensions", |g| g.tensors[0].shape = vec![1; 5]),
        case("2^31 dimensions", TENSOR, "dimensions", |g| g.tensors[0].rank = Some(1 << 31)),
        case("a size of 0", TENSOR, "no values", |g| g.tensors[0].shape = vec![64, 0]),
        case("sizes that overflow", TENSOR, "overflows", |g| g.tensors[0].shape = vec![1 << 32, 1 << 32]),
        case("bytes that overflow", TENSOR, "overflows", |g| {
            (g.tensors[0].shape, g.tensors[0].kind) = (vec![1 << 61], 28);
        }),
        case("sizes beyond the file", TENSOR, "the file has", |g| g.tensors[0].shape = vec![64, 1 << 40]),
        case("ends beyond 64 bits", TENSOR, Q, |g| {
            let q = g.tensor(Q);
            (q.shape, q.kind) = (vec![(1 << 61) - 1], 28);
        }),
        case("parts of blocks", TENSOR, "whole blocks", |g| g.tensor(Q).shape = vec![63, 64]),
        case("type that was taken back", TENSOR, "unknown type 4", |g| g.tensor(Q).kind = 4),
        case("unknown type", TENSOR, "unknown type", |g| g.tensor(Q).kind = u32::MAX),
        case("offset between", TENSOR, "starts at", |g| g.tensor(Q).offset = Some(1)),
        case("offset over another", TENSOR, "starts at 0", |g| g.tensor(Q).offset = Some(0)),
        case("offset with a gap", TENSOR, "starts at", |g| g.tensor(Q).offset = Some(1 << 20)),
        case("offset without end", TENSOR, "starts at", |g| g.tensor(Q).offset = Some(u64::MAX - 31)),
        case("cut off", TENSOR, "the file has", |g| g.tensors.last_mut().unwrap().data.clear()),
        case("missing", TENSOR, "attn_q.weight: is missing", |g| g.tensors.retain(|t| t.name != Q.as_bytes())),
        case("none at all", TENSOR, "token_embd", |g| g.tensors.clear()),
        case("another shape", TENSOR, Q, |g| g.tensor(Q).shape = vec![32, 128]),
        case("of no use", &["unsupported"], "blk.0.attn_foo.weight", |g| {
            let mut more = g.tensor(Q).clone();
            more.name = b"blk.0.attn_foo.weight".to_vec();
            g.tensors.push(more);
        }),
        case("type that is not read", TENSOR, "type I8", |g| {
            let q = g.tensor(Q);
            (q.kind, q.data) = (24, vec![0; 64 * 64]);
        }),
        case("endless scale", TENSOR, Q, |g| g.tensor(Q).data[1] = 0x7C),
        case("scale that is no number", TENSOR, "ffn_up_exps", |g| {
            let up = g.tensor("blk.1.ffn_up_exps.weight");
            let last = up.data.len() - 34;
            up.data[last..last + 2].copy_from_slice(&[0xFF, 0x7F]);
        }),
        case("norm that is no number", TENSOR, "norm", |g| g.tensor("output_norm.weight").data[3] = 0x7F),
    ]
}

/// What the metadata say of the model.
fn models() -> Vec<Case> {
    let key = |end: &str| format!("qwen2moe.{end}");
    let mut cases = vec![
        case("no architecture", CONFIG, "general.architecture", |g| g.remove("general.architecture")),
        case("architecture a number", CONFIG, "general.architecture", |g| g.number("general.architecture", 3)),
        case("unknown architecture", &["unsupported"], "mamba", |g| g.text("general.architecture", "mamba")),
        case("window", &["unsupported"], "sliding_window", |g| g.number("qwen2moe.attention.sliding_window", 64)),
        case("softcap", &["unsupported"], "softcapping", |g| g.float("qwen2moe.attn_logit_softcapping", 50.0)),
        case("scaling", &["unsupported"], "rope.scaling.type", |g| g.text("qwen2moe.rope.scaling.type", "mystery")),
        case("part of a head", &["unsupported"], "dimension_count", |g| g.number("qwen2moe.rope.dimension_count", 8)),
        case("no base", CONFIG, "freq_base", |g| g.float("qwen2moe.rope.freq_base", f32::NAN)),
        case("endless epsilon", CONFIG, "epsilon", |g| {
            g.float("qwen2moe.attention.layer_norm_rms_epsilon", f32::INFINITY);
        }),
    ];
    for end in ["block_count", "embedding_length", "attention.head_count", "context_length", "expert_count"] {
        for (what, value) in [("0", Some(0)), ("absent", None), ("2^32 - 1", Some(u32::MAX)), ("3", Some(3))] {
            let key = key(end);
            let name: &'static str = Box::leak(format!("{end} {what}").into_boxed_str());
            let codes = &["config", "limit", "tensor", "unsupported"];
            cases.push(case(name, codes, "", move |g| match value {
                Some(value) => g.number(&key, value),
                None => g.remove(&key),
            }));
        }
        let key = key(end);
        let name: &'static str = Box::leak(format!("{end} a text").into_boxed_str());
        cases.push(case(name, CONFIG, end, move |g| g.text(&key, "2")));
    }
    cases
}

fn vocabularies() -> Vec<Case> {
    vec![
        case("kinds missing", CONFIG, TYPES, |g| g.remove(TYPES)),
        case("kinds too few", CONFIG, TYPES, |g| g.put(TYPES, 9, list(5, 1, &[1, 0, 0, 0]))),
        case("kinds of texts", CONFIG, TYPES, |g| g.text(TYPES, "1")),
        case("kind 9", CONFIG, "kind 9", |g| g.keys.iter_mut().find(|k| k.0 == TYPES.as_bytes()).unwrap().2[12] = 9),
        case("kind below 0", CONFIG, TYPES, |g| {
            let kinds = g.keys.iter_mut().find(|k| k.0 == TYPES.as_bytes()).unwrap();
            kinds.2[12..16].copy_from_slice(&[0xFF; 4]);
        }),
        case("token twice", CONFIG, "has the ids", |g| g.texts(TOKENS, |t| t[301] = t[300].clone())),
        case("empty token", CONFIG, TYPES, |g| g.texts(TOKENS, |t| t[300].clear())),
        case("token of no text", BAD, "tokens[300]", |g| g.texts(TOKENS, |t| t[300] = vec![0xFF])),
        case("tokens beyond the embedding", CONFIG, "rows", |g| g.texts(TOKENS, |t| t.push(b"more".to_vec()))),
        case("tokens a number", CONFIG, TOKENS, |g| g.number(TOKENS, 3)),
        case("end beyond the vocabulary", CONFIG, "eos_token_id", |g| g.number("tokenizer.ggml.eos_token_id", 320)),
        case("end below 0", CONFIG, "eos_token_id", |g| {
            g.put("tokenizer.ggml.eos_token_id", 5, (-2i32).to_le_bytes());
        }),
        case("unknown split", &["unsupported"], "tokenizer.ggml.pre", |g| g.text("tokenizer.ggml.pre", "viking")),
        case("no split", &["unsupported"], "tokenizer.ggml.pre", |g| g.remove("tokenizer.ggml.pre")),
        case("unknown tokenizer", &["unsupported"], "bert", |g| g.text("tokenizer.ggml.model", "bert")),
        case("pieces without scores", CONFIG, "scores", |g| g.text("tokenizer.ggml.model", "llama")),
        case("no merges", CONFIG, "merges", |g| g.remove("tokenizer.ggml.merges")),
        case("merge of no tokens", &["tokenizer"], "merges", |g| {
            g.texts("tokenizer.ggml.merges", |m| m[0] = b"zq qz".to_vec());
        }),
        case("merge of one", &["tokenizer"], "merges", |g| g.texts("tokenizer.ggml.merges", |m| m[0] = b"a".to_vec())),
        case("a byte missing", &["tokenizer"], "missing", |g| {
            g.texts(TOKENS, |t| {
                let at = t.iter().position(|t| t == b"A").unwrap();
                t[at] = b"zzzz".to_vec();
            })
        }),
        case("deep template", &["template"], "", |g| {
            let (open, close) = ("{% if true %}".repeat(5500), "{% endif %}".repeat(5500));
            g.text("tokenizer.chat_template", &format!("{open}x{close}"));
        }),
        case("template a number", CONFIG, "chat_template", |g| g.number("tokenizer.chat_template", 1)),
    ]
}

#[test]
fn broken_files_are_refused_by_name() {
    let whole = Apart::new(&bytes(BASE));
    open(whole.file()).expect("put together again it is whole");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (name, change, codes, names) in [headers(), tensors(), models(), vocabularies()].into_iter().flatten() {
        let mut changed = whole.clone();
        change(&mut changed);
        count += 1;
        match open(changed.file()) {
            Err(e) if codes.contains(&e.code()) && e.to_string().contains(names) && e.to_string().len() < 1000 => {}
            Err(e) => wrong.push(format!("{name}: wants {codes:?} naming {names}, gets {}: {e}", e.code())),
            Ok(()) => wrong.push(format!("{name}: opens")),
        }
    }
    println!("{count} files");
    assert!(count > 100 && wrong.is_empty(), "{count} files:\n  {}", wrong.join("\n  "));
}

/// Its tensors in three files, as large models are published.
fn split(change: impl Fn(usize, &mut Apart)) -> Memory {
    let whole = Apart::new(&bytes(BASE));
    let mut memory = Memory::default();
    for i in 0..3 {
        let mut part = whole.clone();
        part.tensors = whole.tensors.chunks(whole.tensors.len().div_ceil(3)).nth(i).unwrap().to_vec();
        if i > 0 {
            part.keys.clear();
        }
        part.put("split.no", 2, (i as u16).to_le_bytes());
        part.put("split.count", 2, 3u16.to_le_bytes());
        part.put("split.tensors.count", 5, (whole.tensors.len() as i32).to_le_bytes());
        change(i, &mut part);
        memory.insert(format!("m-{:05}-of-00003.gguf", i + 1), part.file());
    }
    memory.gguf = Some("m-00001-of-00003.gguf".into());
    memory
}

#[test]
fn models_in_several_files_are_those_of_one() {
    let chunks = |source: &Memory| {
        let (_, manifest) = packed(source, Precision::Stored);
        serde_json::to_value(&manifest.shards).unwrap()
    };
    assert_eq!(chunks(&split(|_, _| {})), chunks(&memory(bytes(BASE))));
    let refused = |change: &dyn Fn(usize, &mut Apart)| {
        let source = split(change);
        let (options, mut seen) = (LoadOptions::default(), |_| {});
        let load = Model::load(&source, Rc::new(Cpu), &options, &mut seen);
        pollster::block_on(load).err().expect("it is not whole").to_string()
    };
    let twice = refused(&|i, part| part.put("split.no", 2, (i.min(1) as u16).to_le_bytes()));
    assert!(twice.contains("00003-of-00003") && twice.contains("split.no"), "{twice}");
    let fewer = refused(&|i, part| {
        if i == 2 {
            drop(part.tensors.pop())
        }
    });
    assert!(fewer.contains("split.tensors.count"), "{fewer}");
    let foreign = refused(&|i, part| {
        if i == 1 {
            part.version = 9
        }
    });
    assert!(foreign.contains("version 9"), "{foreign}");
}

/// Ways of splitting text, by their names in files.
const SPLITS: [&str; 19] = [
    "llama-bpe",
    "llama3",
    "llama-v3",
    "lfm2",
    "dbrx",
    "smaug-bpe",
    "qwen2",
    "deepseek-r1-qwen",
    "gpt-2",
    "olmo",
    "refact",
    "starcoder",
    "smollm",
    "deepseek-v3",
    "deepseek-llm",
    "deepseek-coder",
    "gpt-4o",
    "llama4",
    "kimi-k2",
];

/// However a text is split, its tokens are the text.
#[test]
fn every_split_keeps_the_text() {
    for split in SPLITS {
        let mut file = Apart::new(&bytes(BASE));
        file.text("tokenizer.ggml.pre", split);
        let files = pollster::block_on(Files::read(&memory(file.file()))).unwrap();
        let tokenizer = Tokenizer::new(files.tokenizer.unwrap().as_bytes()).unwrap();
        let (composed, mut cases) = (["qwen2", "olmo"].contains(&split), 0);
        for case in json("tokenizer/ids.json").as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let whole = tokenizer.decode(&tokenizer.encode(text).unwrap());
            assert!(
                whole == text || (composed && whole == case["decoded"].as_str().unwrap_or(text)),
                "{split}: {text:?}"
            );
            cases += 1;
        }
        assert!(cases > 300, "{split}");
    }
}

/// A byte token that no byte is stays a text.
#[test]
fn odd_byte_tokens_are_texts() {
    let mut file = Apart::new(&bytes(BASE));
    file.texts(TOKENS, |t| t[319] = b"<0x-1>".to_vec());
    // The merge that made the token before goes.
    file.texts("tokenizer.ggml.merges", |m| drop(m.pop()));
    if let Err(e) = open(file.file()) {
        panic!("{e}");
    }
}

/// Cut off anywhere in its header, and at many places behind it.
#[test]
fn files_cut_off_are_refused() {
    let file = bytes(BASE);
    let header = gguf::parse(FILE, &file, file.len() as u64).unwrap().unwrap();
    let data = header.tensors.values().map(|t| t.offset).min().unwrap() as usize;
    for end in (0..data).step_by(7).chain((data..file.len()).step_by(997)) {
        match gguf::parse(FILE, &file[..end], end as u64) {
            Err(Error::Malformed { .. } | Error::Tensor { .. } | Error::Limit { .. }) => {}
            other => panic!("{end} bytes: {other:?}"),
        }
        // The same bytes of a larger file are too few, or wrong already.
        let more = gguf::parse(FILE, &file[..end], file.len() as u64);
        assert!(matches!(more, Ok(None)) || end >= data - 32, "{end} bytes of all: {more:?}");
    }
}

/// Bytes of headers changed at random: an error or a model, and never anything else.
#[test]
fn changed_headers_are_refused_or_read() {
    let (mut refused, mut read) = (0, 0);
    for base in [BASE, "gguf/deepseek_v2-q4_k.gguf", "gguf/gpt_oss-q4_0.gguf"] {
        let file = bytes(base);
        let mut random = Random::new(7);
        for round in 0..2000 {
            let mut changed = file.clone();
            let until = if round % 2 == 0 { 2000 } else { 14_000.min(file.len()) };
            for _ in 0..=round % 3 {
                let at = random.below(until);
                changed[at] = match round % 5 {
                    0 => 0xFF,
                    1 => 0,
                    _ => random.below(256) as u8,
                };
            }
            match gguf::parse(FILE, &changed, changed.len() as u64) {
                Ok(None) => panic!("{base}, round {round}: more bytes than there are"),
                Ok(Some(_)) if round % 8 == 0 => match open(changed) {
                    Ok(()) => read += 1,
                    Err(_) => refused += 1,
                },
                Ok(Some(_)) => read += 1,
                Err(_) => refused += 1,
            }
        }
    }
    println!("{refused} refused, {read} read");
    assert!(refused > 1000 && read > 1000);
}
