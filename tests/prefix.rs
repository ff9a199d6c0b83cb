//! A conversation's beginning that comes with a pack: the same answers, for fewer bytes, and no harm from one that was made up.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clock;
mod folder;
mod late;
mod packed;

use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;

use clock::Clock;
use folder::folder;
use late::Late;
use moebius_engine::chat::{Chat, ChatRequest};
use moebius_engine::device::{Cpu, Device, Simd};
use moebius_engine::format::Format;
use moebius_engine::model::{Ffn, LoadOptions, Prefix, Room};
use moebius_engine::session::{Message, Next, Request, Sampling, Session};
use moebius_engine::source::{Memory, Source};
use moebius_engine::weights::{MANIFEST, Precision};
use moebius_engine::{Error, Result};
use moebius_tests::ids;
use packed::{packed, packed_with};
use pollster::block_on;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Latents; windows and sinks; convolutions; grouped queries.
const MODELS: [&str; 4] = ["deepseek_v3_lite", "gpt_oss", "lfm2_moe", "qwen3_moe"];
/// Tokens of the beginning, and of the prompt.
const TOKENS: [usize; 2] = [24, 30];

fn open(files: &Rc<Memory>, device: &Rc<dyn Device>, cache: Option<Format>) -> Result<(Session, Rc<Late>)> {
    let late = Rc::new(Late::new(files.clone(), 1, 0));
    let options = LoadOptions { context: Some(64), cache, ..LoadOptions::default() };
    let session = block_on(Session::stream(late.clone(), device.clone(), &options, Room::All, &mut |_| {}))?;
    Ok((session, late))
}

fn text(name: &str) -> Vec<u32> {
    ids(&moebius_tests::json(&format!("{name}/golden.json"))["excerpt"]["ids"])[..TOKENS[1]].to_vec()
}

/// A pack of a model, and one that begins with the first tokens of its text.
fn packs(name: &str, device: &Rc<dyn Device>) -> (Rc<Memory>, Rc<Memory>, Prefix) {
    let files = Rc::new(folder(name));
    let plain = Rc::new(packed(files.as_ref(), Precision::Q8).0);
    let (mut session, _) = open(&plain, device, None).unwrap();
    let tokens = text(name)[..TOKENS[0]].to_vec();
    let prefix = block_on(session.prefix("Be brief.".into(), tokens, &Clock::new(usize::MAX))).unwrap();
    let (with, manifest) = packed_with(files.as_ref(), Precision::Q8, &prefix);
    assert_eq!(manifest.prefix.unwrap().tokens.len(), TOKENS[0]);
    (plain, Rc::new(with), prefix)
}

/// What follows a prompt: tokens, bits of logits, how many tokens came computed, and bytes read for the first.
fn answer((mut session, late): (Session, Rc<Late>), prompt: &[u32]) -> (Vec<u32>, Vec<f32>, usize, u64) {
    let host = Clock::new(usize::MAX);
    let before = late.bytes();
    let sampling = Sampling::greedy();
    let request = Request { prompt, sampling, max_new: 1, stop_at_end: false, not_first: None, routing: false };
    let first = block_on(session.generate(&request, &host, &mut |_| Next::Go)).unwrap();
    let bytes = late.bytes() - before;
    let request = Request { max_new: 10, ..request };
    let tokens = block_on(session.generate(&request, &host, &mut |_| Next::Go)).unwrap().tokens;
    let logits = block_on(session.logits(&[prompt, &tokens].concat(), &host)).unwrap();
    (tokens, logits, first.timings.cache_n, bytes)
}

#[test]
fn answers_are_the_same_and_take_less() {
    for device in [Rc::new(Cpu) as Rc<dyn Device>, Rc::new(Simd::new().with_threads(2))] {
        for name in MODELS {
            // Not by each prompt: what is left of it may touch the same experts.
            let mut saved = [0; 2];
            let (plain, with, _) = packs(name, &device);
            let prompt = text(name);
            let other = [&prompt[..20], &[5, 6, 7]].concat();
            for prompt in [&prompt, &other, &prompt[..TOKENS[0]].to_vec(), &prompt[3..].to_vec()] {
                let (tokens, logits, none, all) = answer(open(&plain, &device, None).unwrap(), prompt);
                let (same, bits, kept, less) = answer(open(&with, &device, None).unwrap(), prompt);
                let common = prompt.iter().zip(&text(name)[..TOKENS[0]]).take_while(|(a, b)| a == b).count();
                assert_eq!((same, bits), (tokens, logits), "{name} on {}", device.name());
                assert_eq!((none, kept), (0, common.min(prompt.len() - 1)), "{name}");
                assert!(less <= all, "{name}: {less} of {all} bytes");
                saved[usize::from(common > 0)] += all - less;
            }
            // In the last layer a prompt's last token alone chooses, whatever came before it.
            let layers = open(&plain, &device, None).unwrap().0.model.spec.layers;
            let early = layers[..layers.len() - 1].iter().any(|layer| matches!(layer.ffn, Ffn::Moe(_)));
            assert!(saved[0] == 0 && (saved[1] > 0) == early, "{name}: {saved:?} bytes");
        }
    }
}

/// Halves of it are what a device would have made, but for what rounding did before.
#[test]
fn halves_are_near() {
    let device: Rc<dyn Device> = Rc::new(Simd::new());
    for name in MODELS {
        let (plain, with, _) = packs(name, &device);
        let half = |files| open(files, &device, Some(Format::F16)).unwrap();
        let (_, want, ..) = answer(half(&plain), &text(name));
        let (_, got, kept, _) = answer(half(&with), &text(name));
        let sigma = (want.iter().map(|v| v * v).sum::<f32>() / want.len() as f32).sqrt();
        let off = want.iter().zip(&got).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / sigma;
        println!("{name}: {off:.1e} of a standard deviation");
        assert!(kept == TOKENS[0] && off < 2e-2, "{name}: {off}");
        let (mut session, _) = half(&plain);
        let error = block_on(session.prefix(String::new(), vec![1, 2], &Clock::new(usize::MAX))).err().unwrap();
        assert!(matches!(error, Error::Request { .. }), "{error}");
    }
}

/// A pack with its manifest changed.
fn changed(pack: &Memory, change: impl FnOnce(&mut Value)) -> Rc<Memory> {
    let read = |name: &str| block_on(pack.read_all(name, u64::MAX)).unwrap();
    let mut manifest: Value = serde_json::from_slice(&read(MANIFEST)).unwrap();
    let mut files = Memory::default();
    for list in ["files", "shards"] {
        for file in manifest[list].as_array().unwrap() {
            let name = file["name"].as_str().unwrap();
            files.insert(name, read(name));
        }
    }
    change(&mut manifest);
    files.insert(MANIFEST, manifest.to_string());
    Rc::new(files)
}

#[test]
fn made_up_beginnings_are_refused() {
    let device: Rc<dyn Device> = Rc::new(Simd::new());
    let (_, with, _) = packs("qwen3_moe", &device);
    let error = |change: fn(&mut Value)| open(&changed(&with, change), &device, None).err().map(|e| e.to_string());
    assert_eq!(error(|_| {}), None);
    type Change = fn(&mut Value);
    let refused: [(Change, &str); 7] = [
        (|m| m["prefix"]["tokens"][3] = json!(1 << 30), "token 1073741824 is outside the vocabulary"),
        (|m| m["prefix"]["tokens"] = json!([]), "has no tokens"),
        (|m| m["prefix"]["tokens"] = json!([1, 2, 3]), "3 tokens have"),
        (|m| m["prefix"]["tokens"] = json!(vec![1; 70_000]), "limit of 65536"),
        (|m| m["prefix"]["system"] = json!("x".repeat(1 << 21)), "limit of 1048576"),
        (|m| m["prefix"]["file"] = json!("../secret"), "not among the files"),
        (|m| m["prefix"]["file"] = json!("config.json"), "config.json has"),
    ];
    for (change, says) in refused {
        let error = error(change).unwrap();
        assert!(error.contains(says), "{error}: {says}");
    }
    // What does not find room is left out.
    let fits = |m: &mut Value| m["prefix"]["tokens"] = json!(vec![1; 64]);
    assert_eq!(error(fits), None);

    // Bytes that are not those of the manifest, and a value that is no number.
    for (right, says) in [(false, "SHA-256 differs"), (true, "not a number")] {
        let damaged =
            changed_file(&with, "prefix.f32", right, |bytes| bytes[4..8].copy_from_slice(&f32::NAN.to_le_bytes()));
        let error = open(&damaged, &device, None).err().unwrap();
        assert!(matches!(&error, Error::File { file, .. } if file == "prefix.f32"), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// A pack with a file changed, whose hash in the manifest may be right.
fn changed_file(pack: &Memory, name: &str, right: bool, change: impl FnOnce(&mut Vec<u8>)) -> Rc<Memory> {
    let mut bytes = block_on(pack.read_all(name, u64::MAX)).unwrap();
    change(&mut bytes);
    let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
    let mut files = Rc::into_inner(changed(pack, |manifest| {
        let file = manifest["files"].as_array_mut().unwrap().iter_mut().find(|file| file["name"] == name).unwrap();
        assert_eq!(file["chunks"].as_array().unwrap().len(), 1);
        if right {
            file["chunks"][0]["sha256"] = json!(hash);
        }
    }))
    .unwrap();
    files.insert(name, bytes);
    Rc::new(files)
}

/// A chat with the default model whose pack has the system prompt computed: the same reply, for fewer bytes.
#[test]
fn a_system_prompt_is_not_waited_for() {
    let device: Rc<dyn Device> = Rc::new(Simd::new());
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../www/model");
    let plain = Rc::new(folder::read(&model));
    let host = Clock::new(usize::MAX);
    let chat = |files: &Rc<Memory>| {
        let late = Rc::new(Late::new(files.clone(), 1, 0));
        let (options, source) = (LoadOptions::default(), late.clone());
        let session = block_on(Session::stream(source, device.clone(), &options, Room::All, &mut |_| {}));
        (Chat::over("model", session.unwrap()).unwrap(), late)
    };
    let system = "You are a friendly assistant. You answer questions about everyday life in one or two short sentences, \
        and you say so when you do not know something.";
    let prefix = block_on(chat(&plain).0.opening(system, &host)).unwrap();
    let (with, _) = packed_with(plain.as_ref(), Precision::Stored, &prefix);
    let size = block_on(with.size("prefix.f32")).unwrap();
    let with = Rc::new(with);
    let replies = [&plain, &with].map(|files| {
        let (mut chat, late) = chat(files);
        let trunk = late.bytes();
        let messages = vec![Message::new("system", system), Message::new("user", "Hi!")];
        let mut request = ChatRequest::new(messages);
        request.common.choice.temperature = Some(0.0);
        request.common.max_tokens = Some(1);
        let first = block_on(chat.respond(&request, &host, &mut |_| ControlFlow::Continue(()))).unwrap();
        let bytes = late.bytes() - trunk;
        request.common.max_tokens = Some(40);
        let reply = block_on(chat.respond(&request, &host, &mut |_| ControlFlow::Continue(()))).unwrap();
        let [choice] = reply.choices;
        (choice.message.content, first.timings.cache_n, first.timings.prompt_n, trunk, bytes)
    });
    let [(text, 0, all, trunk, bytes), (same, kept, rest, more, less)] = &replies else { panic!("{replies:?}") };
    assert_eq!((text, *kept, kept + rest), (same, prefix.tokens.len(), *all));
    println!("{all} tokens, of which {kept} come computed in {size} bytes: {trunk} + {bytes} bytes, {more} + {less}");
    assert!(more - trunk < size + 4096 && less + size < *bytes, "{less} and {size} of {bytes}");
}
