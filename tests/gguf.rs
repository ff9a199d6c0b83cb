//! GGUF files: blocks against the reference's numbers, and every family against transformers on the weights that they stand for.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod adapter;
mod packed;
mod page;
#[allow(dead_code, reason = "tests of checkpoints use the rest")]
mod run;

use std::rc::Rc;

use moebius_engine::device::{Cpu, Device};
use moebius_engine::format::Format;
use moebius_engine::model::{Files, LoadOptions, Model};
use moebius_engine::session::Tokenizer;
use moebius_engine::source::{Memory, Source};
use moebius_engine::weights::Precision;
use moebius_engine::weights::gguf::Kind;
use moebius_tests::{bytes, difference, fixture, floats, ids, json};
use packed::packed;
use run::Run;
use serde_json::Value;

/// Fixtures and their architectures.
const FAMILIES: [(&str, &str); 15] = [
    ("deepseek_v2", "deepseek2"),
    ("deepseek_v3", "deepseek2"),
    ("ernie4_5_moe", "ernie4_5-moe"),
    ("gpt_oss", "gpt-oss"),
    ("granitemoe", "granitemoe"),
    ("granitemoeshared", "granitemoe"),
    ("lfm2_moe", "lfm2moe"),
    ("llama", "llama"),
    ("mixtral", "llama"),
    ("olmoe", "olmoe"),
    ("phimoe", "phimoe"),
    ("qwen2", "qwen2"),
    ("qwen2_moe", "qwen2moe"),
    ("qwen3", "qwen3"),
    ("qwen3_moe", "qwen3moe"),
];

/// The GGUF of a family with this type of blocks.
fn file(name: &str, kind: &str) -> Memory {
    let name = format!("{name}-{kind}.gguf");
    let mut memory = Memory::default();
    memory.insert(&name, std::fs::read(fixture("gguf").join(&name)).unwrap());
    memory.gguf = Some(name);
    memory
}

fn load(source: &dyn Source, device: Rc<dyn Device>, precision: Precision) -> Model {
    // f16 is the default on a GPU, and moves logits.
    let options = LoadOptions { precision, context: Some(128), cache: Some(Format::F32) };
    pollster::block_on(Model::load(source, device, &options, &mut |_| {})).unwrap()
}

/// What a file's logits may be apart from those of the values that it stands for, where kernels read them as they are.
const EXACT: f64 = 1e-3;
/// The same where K-quants become f16, and int8. Models with random weights are far more sensitive than trained ones.
const HALVES: f64 = 2e-2;
const EIGHT_BITS: f64 = 0.2;

/// Largest differences after the prompt and after 32 more tokens, and how many of these are the model's own choice. It reads
/// the golden ones.
fn compare(name: &str, kind: &str, device: &Rc<dyn Device>, precision: Precision) -> (f64, f64, usize) {
    let golden = &json(&format!("gguf/{name}.json"))[kind];
    let (prompt, greedy) = (ids(&golden["prompt"]), ids(&golden["greedy"]));
    let mut run = Run::new(load(&file(name, &kind.to_lowercase()), device.clone(), precision), 16);
    let mut logits = run.play(&prompt).pop().unwrap();
    let first = difference(&floats(&golden["logits"]), &logits);
    let mut own = 0;
    for token in greedy {
        own += usize::from(run::largest(&logits) == token);
        logits = run.play(&[token]).pop().unwrap();
    }
    let last = difference(&floats(&golden["logits_after_greedy"]), &logits);
    println!(
        "{name} {kind} as {} on {}: {first:.1e} {last:.1e} deviations, {own} of 32",
        precision.name(),
        device.kind()
    );
    (first, last, own)
}

/// The largest difference of a family's file as it is loaded unless told otherwise, and how many tokens are its own choice.
fn stored(name: &str, kind: &str, device: &Rc<dyn Device>) -> (f64, usize) {
    let (first, last, own) = compare(name, kind, device, Precision::Stored);
    let apart = first.max(last);
    if kind == "Q4_K" {
        assert!(first <= EIGHT_BITS && own >= 28, "{name} Q4_K: {first}, {last}, {own}");
        return (apart, own);
    }
    // Blocks that kernels read as they are.
    // Keys of latent attention lie across in the file, and become f16.
    let bound = if name.starts_with("deepseek") { HALVES } else { EXACT };
    assert!(apart <= bound && own == 32, "{name} {kind}: {apart}, {own}");
    (apart, own)
}

const HEAD: &str = "## GGUF

The same for GGUF files, against transformers on the values that their blocks stand for (`gguf.dequantize`). Q8_0, Q5_0, Q4_0,
IQ4_NL and MXFP4 are read by kernels as they are; keys of latent attention lie across in the file and become f16, which is
what DeepSeek's rows show. Q4_1, Q5_1, Q2_K to Q6_K and IQ4_XS become int8 in blocks of 32, which Q4_K's columns show. Golden tokens
are fed one by one; so many of the 32 are the file's own choice.

What int8 loses is a small part of what the blocks lost already: see the figures that `cargo test -p moebius-tests --test gguf blocks
-- --nocapture` prints.

This part is made by `MOEBIUS_WRITE=1 cargo test -p moebius-tests --test gguf agrees`; the same test fails where it is not current, and
measures Q8_0 and Q4_K on the GPU only so, or with `MOEBIUS_ALL=1`.

| `general.architecture` | fixture | Q8_0, CPU | Q8_0, GPU | Q4_0, CPU | Q4_0, GPU | Q4_K, CPU | Q4_K, GPU |
|---|---|---|---|---|---|---|---|
";

#[test]
fn every_family_agrees_with_transformers() {
    let cpu: Rc<dyn Device> = Rc::new(Cpu);
    let gpu = adapter::gpu("every_family_agrees_with_transformers").map(|gpu| Rc::new(gpu) as Rc<dyn Device>);
    let mut page = HEAD.to_owned();
    for (name, arch) in FAMILIES {
        let (first, last, own) = compare(name, "Q4_K", &cpu, Precision::F16);
        assert!(first <= HALVES && own >= 31, "{name} Q4_K as f16: {first}, {last}, {own}");
        page += &format!("| `{arch}` | `{name}` |");
        for kind in ["Q8_0", "Q4_0", "Q4_K"] {
            let gpu = gpu.as_ref().filter(|_| kind == "Q4_0" || page::all());
            let gpu = gpu.map_or(page::OPEN.into(), |gpu| page::told(stored(name, kind, gpu)));
            page += &format!(" {} | {gpu} |", page::told(stored(name, kind, &cpu)));
        }
        page.push('\n');
    }
    if gpu.is_some() {
        page::current(&page);
    }
}

/// What int8 may lose of random blocks, as a part of the root of the mean square value.
const LOST: f64 = 6e-3;

/// Blocks of every type come out as gguf-py has them, to the bit, and lose in int8 what is said.
#[test]
fn blocks_are_those_of_the_reference() {
    for (name, row) in json("gguf/blocks.json").as_object().unwrap() {
        let kind = Kind::readable().find(|kind| kind.name == name).unwrap_or_else(|| panic!("{name}"));
        let (bytes, wanted) = (hex(&row["bytes"]), hex(&row["values"]));
        let values = kind.values(&bytes);
        let wanted: Vec<f32> = wanted.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        assert_eq!(values.len(), wanted.len(), "{name}");
        // A negative code of 0 is 0 there.
        let bits = |v: f32| (v + 0.0).to_bits();
        let different = values.iter().zip(&wanted).filter(|(a, b)| bits(**a) != bits(**b)).count();
        assert_eq!(different, 0, "{name}: {different} of {} values", values.len());

        let format = kind.format().unwrap();
        let (weights, scales) = kind.planes(&bytes).unwrap();
        let mut held = vec![0.0; values.len()];
        format.decode_row(&weights, &scales, 0, &mut held);
        let square = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>();
        let lost = square(&mut held.iter().zip(&values).map(|(a, b)| f64::from(a - b)));
        let lost = (lost / square(&mut values.iter().map(|v| f64::from(*v)))).sqrt();
        println!("{name} as {}: {lost:.1e} of the root of the mean square", format.name());
        assert!(lost <= if kind.exact() { 0.0 } else { LOST }, "{name}: {lost}");
    }
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// The tokenizer of a fixture's file.
fn tokenizer(name: &str) -> Tokenizer {
    let mut memory = Memory::default();
    memory.insert(name, std::fs::read(fixture("gguf").join(name)).unwrap());
    memory.gguf = Some(name.into());
    let files = pollster::block_on(Files::read(&memory)).unwrap();
    Tokenizer::new(files.tokenizer.unwrap().as_bytes()).unwrap()
}

/// Vocabularies out of GGUFs give the ids that transformers has from the files that they were made of.
#[test]
fn tokenizers_are_those_they_were_made_of() {
    for (file, folder) in [
        ("qwen2-q4_0.gguf", "tokenizer"),
        ("llama-q4_0.gguf", "tokenizer/llama3"),
        ("deepseek_v3-q4_0.gguf", "tokenizer/deepseek"),
    ] {
        let (ours, theirs) = (tokenizer(file), Tokenizer::new(&bytes(&format!("{folder}/tokenizer.json"))).unwrap());
        assert_eq!((ours.controls(), ours.size()), (theirs.controls(), theirs.size()), "{file}");
        for case in json(&format!("{folder}/ids.json")).as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            assert_eq!(ours.encode(text).unwrap(), ids(&case["ids"]), "{file}: {text:?}");
        }
        for id in 0..ours.size() as u32 {
            assert_eq!(ours.bytes(id), theirs.bytes(id), "{file}: {id}");
        }
    }
}

#[test]
fn pieces_are_merged_as_sentencepiece_does() {
    let tokenizer = tokenizer("pieces.gguf");
    let cases = json("gguf/pieces.json");
    for case in cases.as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let ids = ids(&case["ids"]);
        assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids), case["decoded"].as_str().unwrap_or(text), "{text:?}");
    }
    assert!(cases.as_array().unwrap().len() > 300);
}

/// A GGUF packs into what reads the same.
#[test]
fn packs_hold_what_the_file_holds() {
    let cpu: Rc<dyn Device> = Rc::new(Cpu);
    for (name, kind) in [("llama", "q4_0"), ("gpt_oss", "q8_0"), ("deepseek_v3", "q4_k"), ("lfm2_moe", "q4_k")] {
        let prompt = ids(&json(&format!("gguf/{name}.json"))[kind.to_uppercase()]["prompt"]);
        let (pack, manifest) = packed(&file(name, kind), Precision::Stored);
        assert!(manifest.files.iter().any(|f| f.name == "tokenizer.json"), "{name}");
        let logits = |source: &dyn Source| Run::new(load(source, cpu.clone(), Precision::Stored), 16).play(&prompt);
        assert_eq!(logits(&pack), logits(&file(name, kind)), "{name}");
    }
}
