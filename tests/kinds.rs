//! Tokenizers of every kind that the families have, from their files and out of GGUFs, against transformers on a hundred thousand
//! texts each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "hostile/apart.rs"]
#[allow(dead_code, reason = "tests of broken files use the rest")]
mod apart;
mod texts;

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use apart::Apart;
use moebius_engine::model::Files;
use moebius_engine::session::Tokenizer;
use moebius_engine::source::Memory;
use moebius_tests::{bytes, json};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use texts::Texts;

/// A file whose vocabulary gives way to another.
const BASE: &str = "gguf/qwen2_moe-q8_0.gguf";

/// tokenizer.json of a kind.
fn file(models: &Value, kind: &Value) -> Value {
    let pieces = kind.get("prefix").is_some();
    let model = &models[if pieces { "pieces" } else { "bytes" }];
    let mut bpe = json!({"type": "BPE", "vocab": model["vocab"], "merges": model["merges"]});
    if pieces {
        bpe["unk_token"] = json!("<unk>");
        bpe["fuse_unk"] = json!(true);
        bpe["byte_fallback"] = json!(true);
    } else {
        bpe["ignore_merges"] = kind["ignore_merges"].clone();
    }
    json!({"added_tokens": kind["added_tokens"], "normalizer": kind["normalizer"],
        "pre_tokenizer": kind["pre_tokenizer"], "decoder": kind["decoder"], "model": bpe})
}

/// Its vocabulary as a GGUF has it.
fn converted(models: &Value, kind: &Value, name: &str) -> Tokenizer {
    let pieces = kind.get("prefix").is_some();
    let model = &models[if pieces { "pieces" } else { "bytes" }];
    let vocab = model["vocab"].as_object().unwrap();
    let mut tokens: Vec<(u64, &str, i32)> =
        vocab.iter().map(|(token, id)| (id.as_u64().unwrap(), token.as_str(), 1)).collect();
    for token in &mut tokens {
        if pieces && token.1.len() == 6 && token.1.starts_with("<0x") {
            token.2 = 6;
        }
    }
    for added in kind["added_tokens"].as_array().unwrap() {
        let (id, content) = (added["id"].as_u64().unwrap(), added["content"].as_str().unwrap());
        let special = if content == "<unk>" { 2 } else { 3 };
        tokens.retain(|token| token.0 != id);
        tokens.push((id, content, if added["special"] == true { special } else { 4 }));
    }
    tokens.sort_unstable();
    let mut base = Apart::new(&bytes(BASE));
    let kinds = tokens.iter().flat_map(|token| token.2.to_le_bytes());
    let count = (tokens.len() as u64).to_le_bytes();
    base.put(
        "tokenizer.ggml.token_type",
        9,
        [&5u32.to_le_bytes()[..], &count].concat().into_iter().chain(kinds).collect::<Vec<u8>>(),
    );
    base.texts("tokenizer.ggml.tokens", |list| *list = tokens.iter().map(|token| token.1.into()).collect());
    if pieces {
        let scores = model["scores"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap() as f32);
        let scores = scores.chain(std::iter::repeat(-1000.0)).take(tokens.len()).flat_map(f32::to_le_bytes);
        base.put(
            "tokenizer.ggml.scores",
            9,
            [&6u32.to_le_bytes()[..], &count].concat().into_iter().chain(scores).collect::<Vec<u8>>(),
        );
        base.text("tokenizer.ggml.model", "llama");
        base.put("tokenizer.ggml.add_space_prefix", 7, [u8::from(kind["prefix"] == true)]);
    } else {
        let merges: Vec<&str> =
            model["merges"].as_array().unwrap().iter().map(|merge| merge.as_str().unwrap()).collect();
        base.texts("tokenizer.ggml.merges", |list| {
            *list = merges.iter().map(|merge| merge.as_bytes().to_vec()).collect()
        });
        base.text("tokenizer.ggml.pre", name);
    }
    for key in ["eos", "bos", "padding", "unknown"] {
        base.remove(&format!("tokenizer.ggml.{key}_token_id"));
    }
    let embedding = base.tensor("token_embd.weight");
    (embedding.shape, embedding.kind, embedding.data) = (vec![1, tokens.len() as u64], 0, vec![0; 4 * tokens.len()]);
    let mut memory = Memory::default();
    memory.insert("a.gguf", base.file());
    memory.gguf = Some("a.gguf".into());
    let files = pollster::block_on(Files::read(&memory)).unwrap_or_else(|e| panic!("{name}: {e}"));
    Tokenizer::new(files.tokenizer.unwrap().as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Sixteen digits of ids and of the texts that they decode to.
fn digest<'a>(tokenizer: &Tokenizer, texts: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
    let mut sha = Sha256::new();
    for text in texts {
        let ids = tokenizer.encode(text).map_err(|e| format!("{text:?}: {e}"))?;
        sha.update((ids.len() as u32).to_le_bytes());
        ids.iter().for_each(|id| sha.update(id.to_le_bytes()));
        let decoded = tokenizer.decode(&ids);
        sha.update((decoded.len() as u32).to_le_bytes());
        sha.update(decoded);
    }
    Ok(sha.finalize()[..8].iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    }))
}

/// A tokenizer and what transformers has.
struct Case<'a> {
    name: String,
    tokenizer: Tokenizer,
    kind: &'a Map<String, Value>,
}

/// Every kind, and every way that GGUFs have to say so.
fn cases(golden: &Value) -> Vec<Case<'_>> {
    let models = &golden["models"];
    let mut cases = Vec::new();
    for (name, kind) in golden["kinds"].as_object().unwrap() {
        let json = file(models, kind).to_string();
        let tokenizer = Tokenizer::new(json.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let map = kind.as_object().unwrap();
        cases.push(Case { name: name.clone(), tokenizer, kind: map });
        let splits = kind["names"].as_array().into_iter().flatten().map(|split| split.as_str().unwrap());
        let splits = splits.chain(kind.get("prefix").filter(|prefix| prefix.is_boolean()).map(|_| "default"));
        for split in splits {
            let tokenizer = converted(models, kind, split);
            cases.push(Case { name: format!("{name} of a GGUF, {split}"), tokenizer, kind: map });
        }
    }
    cases
}

/// Runs `each` on all numbers below `count`, on two threads.
fn shared(count: usize, each: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= count {
                        break;
                    }
                    each(i);
                }
            });
        }
    });
}

#[test]
fn every_kind_gives_the_ids_of_transformers() {
    let golden = json("tokenizer/kinds.json");
    let block = golden["block"].as_u64().unwrap();
    assert!(golden["distinct"].as_u64().unwrap() >= 100_000);
    let (cases, texts) = (cases(&golden), Texts::new());
    let blocks = cases[0].kind["blocks"].as_str().unwrap().len() / 16;
    // A tenth of them unless all are asked for.
    let step = if std::env::var_os("MOEBIUS_ALL").is_some() { 1 } else { 10 };
    let wrong = std::sync::Mutex::new(Vec::new());
    shared(blocks.div_ceil(step), |b| {
        let b = b * step;
        let block: Vec<String> = (0..block).map(|i| texts.text(b as u64 * block + i)).collect();
        for case in &cases {
            // GGUFs have the same patterns under several names.
            if case.name.contains("GGUF") && b % 50 != 0 {
                continue;
            }
            let wanted = &case.kind["blocks"].as_str().unwrap()[16 * b..][..16];
            let ours = digest(&case.tokenizer, block.iter().map(String::as_str));
            if ours.as_deref() != Ok(wanted) {
                wrong.lock().unwrap().push(format!("{}, block {b}: {ours:?}", case.name));
            }
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!("{} tokenizers, {} texts", cases.len(), blocks.div_ceil(step) as u64 * block);
    assert!(wrong.is_empty(), "{} blocks: {}", wrong.len(), wrong.join("\n"));
}

/// A million spaces, and other runs.
#[test]
fn long_runs_give_the_ids_of_transformers() {
    let golden = json("tokenizer/kinds.json");
    let (mut cases, texts) = (cases(&golden), Texts::new());
    cases.retain(|case| !case.name.contains("GGUF"));
    let wrong = std::sync::Mutex::new(Vec::new());
    shared(cases.len(), |c| {
        let case = &cases[c];
        for (i, (unit, count)) in texts.long.iter().enumerate() {
            let wanted = &case.kind["long"].as_str().unwrap()[16 * i..][..16];
            let ours = digest(&case.tokenizer, [unit.repeat(*count).as_str()]);
            if ours.as_deref() != Ok(wanted) {
                let ours: String =
                    format!("{ours:?}").chars().rev().take(100).collect::<String>().chars().rev().collect();
                wrong.lock().unwrap().push(format!("{}, {count} of {unit:?}: {ours}", case.name));
            }
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
