//! The terminal: every command on the tiny models, the shape of its JSON, its exit codes, and the static server.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use moebius_tests::{fixture, ids, json};
use serde_json::{Value, json};

/// The binary.
const BINARY: &str = env!("CARGO_BIN_EXE_moebius");

fn moebius(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

/// The one JSON object a command prints.
fn object(arguments: &[&str]) -> Value {
    let out = moebius(arguments);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{arguments:?}: {text} {}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(text.trim_end().lines().count(), 1, "{arguments:?}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The error a command prints.
fn error(arguments: &[&str]) -> Value {
    let out = moebius(arguments);
    assert!(!out.status.success(), "{arguments:?}");
    let value: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(value["error"]["message"].as_str().is_some_and(|m| m.len() > 5), "{value}");
    value["error"]["code"].clone()
}

fn path(name: &str) -> String {
    fixture(name).to_str().unwrap().to_owned()
}

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("moebius-{}-{name}", std::process::id()));
    drop(std::fs::remove_dir_all(&path));
    path
}

fn list(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

#[test]
fn logits_and_generate_are_transformers() {
    for name in ["qwen3_moe", "deepseek_v3_lite"] {
        let golden = json(&format!("{name}/golden.json"));
        let (model, prompt) = (path(name), list(&ids(&golden["prompt"])));
        let common = ["--model", &model, "--device", "cpu", "--tokens", &prompt, "--json"];
        let logits = object(&[&["logits"], &common[..]].concat());
        let logits: Vec<f64> = serde_json::from_value(logits["logits"].clone()).unwrap();
        let theirs: Vec<f64> = serde_json::from_value(golden["logits"].clone()).unwrap();
        assert_eq!(logits.len(), theirs.len());
        assert!(logits.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-2), "{name}");
        let more = ["--max-new", "32", "--greedy", "--ignore-eos"];
        let made = object(&[&["generate"], &common[..], &more[..]].concat());
        assert_eq!(ids(&made["tokens"]), ids(&golden["greedy"]), "{name}");
        for key in ["prompt_n", "prompt_ms", "prompt_per_second", "predicted_n", "predicted_ms", "predicted_per_second"]
        {
            assert!(made["timings"][key].is_number(), "{key}");
        }
    }
    let golden = json("deepseek_v3_lite/golden.json");
    let (model, prompt) = (path("deepseek_v3_lite"), list(&ids(&golden["prompt"])));
    let stops = ["--device", "cpu", "--max-new", "32", "--greedy", "--json"];
    let made = object(&[&["generate", "--model", &model, "--tokens", &prompt], &stops[..]].concat());
    let stopped = ids(&golden["stopped"]);
    assert_eq!(ids(&made["tokens"]), stopped[..stopped.len() - 1]);
}

/// A .gguf stands where a folder does, also for packing; what is stored finer is quantised while it is read.
#[test]
fn a_gguf_is_a_model() {
    let golden = &json("gguf/olmoe.json")["Q4_0"];
    let (model, prompt) = (path("gguf/olmoe-q4_0.gguf"), list(&ids(&golden["prompt"])));
    let packed = scratch("gguf-pack");
    let packed = packed.to_str().unwrap();
    assert!(object(&["pack", &model, "--out", packed, "--json"])["bytes"].as_u64().unwrap() > 50_000);
    let common = ["--device", "cpu", "--tokens", &prompt, "--max-new", "32", "--greedy", "--ignore-eos", "--json"];
    for model in [&model, packed] {
        let made = object(&[&["generate", "--model", model], &common[..]].concat());
        assert_eq!(ids(&made["tokens"]), ids(&golden["greedy"]), "{model}");
    }
    let text = ["tokenize", "--model", &model, "--text", "It was a dark night.", "--json"];
    let same = ["tokenize", "--model", &path("olmoe"), "--text", "It was a dark night.", "--json"];
    assert_eq!(object(&text)["ids"], object(&same)["ids"]);
    std::fs::remove_dir_all(packed).unwrap();

    let (model, tokens) = (path("qwen3_moe"), ["--device", "cpu", "--tokens", "5,6,7", "--json"]);
    let logits =
        |more: &[&str]| object(&[&["logits", "--model", &model], &tokens[..], more].concat())["logits"].clone();
    assert_ne!(logits(&[]), logits(&["--format", "q8"]));
    assert_eq!(error(&["logits", "--model", &path("excerpt.txt"), "--tokens", "5", "--json"]), json!("file"));
}

#[test]
fn sampling_repeats_by_seed() {
    let model = path("qwen3_moe");
    let draw = |seed: &str| {
        let common =
            ["generate", "--model", &model, "--device", "cpu", "--tokens", "5,6,7", "--max-new", "9", "--json"];
        object(&[&common[..], &["--seed", seed, "--temperature", "3"]].concat())["tokens"].clone()
    };
    assert_eq!(draw("4"), draw("4"));
    assert_ne!(draw("4"), draw("5"));
}

#[test]
fn perplexity_is_transformers() {
    let golden = &json("deepseek_v3/golden.json")["excerpt"]["nll"];
    let nll: Vec<f64> = serde_json::from_value(golden.clone()).unwrap();
    let mean = nll.iter().sum::<f64>() / nll.len() as f64;
    let (model, text) = (path("deepseek_v3"), path("excerpt.txt"));
    let score = object(&["perplexity", "--model", &model, "--device", "cpu", "--text", &text, "--json"]);
    assert_eq!(score["tokens"], json!(nll.len()));
    assert!((score["nll"].as_f64().unwrap() - mean).abs() < 1e-3, "{score} and {mean}");
    assert!((score["ppl"].as_f64().unwrap().ln() - mean).abs() < 1e-3);
    let short = ["perplexity", "--model", &model, "--device", "cpu", "--text", &text, "--context", "16", "--json"];
    assert!(object(&short)["tokens"].as_u64().unwrap() < nll.len() as u64);
}

#[test]
fn tokenize_and_template_are_transformers() {
    let model = path("tokenizer");
    for case in json("tokenizer/ids.json").as_array().unwrap().iter().step_by(40) {
        let text = case["text"].as_str().unwrap();
        if text.contains('\0') {
            continue;
        }
        let argument = format!("--text={text}");
        assert_eq!(object(&["tokenize", "--model", &model, &argument, "--json"])["ids"], case["ids"], "{text:?}");
    }
    let file = path("excerpt.txt");
    let golden = &json("deepseek_v3_lite/golden.json")["excerpt"]["ids"];
    assert_eq!(&object(&["tokenize", "--model", &model, "--text-file", &file, "--json"])["ids"], golden);

    let folder = scratch("template");
    std::fs::create_dir_all(&folder).unwrap();
    let messages = folder.join("messages.json");
    for case in json("tokenizer/prompts.json").as_array().unwrap().iter().take(4) {
        std::fs::write(&messages, case["messages"].to_string()).unwrap();
        let made = object(&["template", "--model", &model, "--messages", messages.to_str().unwrap(), "--json"]);
        assert_eq!((&made["text"], &made["ids"]), (&case["text"], &case["ids"]), "{}", case["name"]);
    }
    let tools = json!({"messages": [{"role": "user", "content": "x", "name": "y"}], "tools": [], "add_generation_prompt": false});
    std::fs::write(&messages, tools.to_string()).unwrap();
    let made = object(&["template", "--model", &model, "--messages", messages.to_str().unwrap(), "--json"]);
    assert_eq!(made["text"], "<|user|>x<|end|>");
    std::fs::write(&messages, "[{\"role\": \"tool\", \"content\": \"x\"}]").unwrap();
    assert_eq!(error(&["template", "--model", &model, "--messages", messages.to_str().unwrap(), "--json"]), "request");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_pack_says_what_its_model_says() {
    let golden = json("qwen3_moe/golden.json");
    let (model, out) = (path("qwen3_moe"), scratch("pack"));
    let out = out.to_str().unwrap();
    let packed =
        object(&["pack", &model, "--out", out, "--heat", &path("excerpt.txt"), "--experts", "50%,100%,1GB", "--json"]);
    let hits: Vec<f64> = serde_json::from_value(packed["hits_percent"].clone()).unwrap();
    assert!(hits[0] > 10.0 && hits[0] < hits[1] && hits[1] == hits[2], "{hits:?}");
    assert!(packed["shards"].as_u64().unwrap() >= 1 && packed["bytes"].as_u64().unwrap() > 100_000, "{packed}");
    assert!(Path::new(out).join("moebius.json").is_file());
    let prompt = list(&ids(&golden["prompt"]));
    let more = ["--device", "cpu", "--max-new", "8", "--greedy", "--json"];
    for room in ["50%", "1GB"] {
        let generate = ["generate", "--model", out, "--experts", room, "--tokens", &prompt];
        let made = object(&[&generate, &more[..]].concat());
        assert_eq!(ids(&made["tokens"]), ids(&golden["greedy"])[..8], "{room}");
    }
    let bench =
        ["bench", "--model", out, "--device", "cpu", "--text", &path("excerpt.txt"), "--experts", "50%", "--json"];
    let runs = &object(&[&bench[..], &["--prompt", "8", "--decode", "16"]].concat())["runs"];
    let hits = runs[0]["timings"]["predicted_hits_percent"].as_f64().unwrap();
    assert!(hits > 10.0 && hits < 100.0, "{hits}");
    assert_eq!(error(&["bench", "--model", out, "--device", "cpu", "--experts", "1KB", "--json"]), "limit");
    assert_eq!(error(&["pack", &model, "--out", out, "--json"]), "file", "a folder that is not empty");
    let again = format!("{out}-again");
    assert_eq!(error(&["pack", out, "--out", &again, "--format", "q4", "--json"]), "request", "quantised again");
    for folder in [out.to_owned(), format!("{out}-again")] {
        drop(std::fs::remove_dir_all(folder));
    }
}

#[test]
fn bench_measures() {
    let model = path("qwen3_moe");
    let bench = ["bench", "--model", &model, "--device", "cpu", "--prompt", "8,16", "--decode", "4", "--json"];
    let measured = object(&bench);
    assert!(
        measured["bytes_per_token"].as_u64().unwrap() > 0
            && measured["dispatches_per_token"].as_u64().unwrap() > 9
            && measured["least_us_per_dispatch"].as_f64().unwrap() >= 0.0
    );
    assert!(measured["probe_gb_per_second"].as_f64().unwrap() > 0.0);
    let runs = measured["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        for key in ["prefill_tokens_per_second", "decode_tokens_per_second", "gb_per_second", "percent_of_probe"] {
            assert!(run[key].as_f64().unwrap() > 0.0, "{key}: {run}");
        }
    }
}

#[test]
fn faults_have_codes() {
    let (model, nowhere) = (path("qwen3_moe"), path("nowhere"));
    let logits = |model: &str, tokens: &str| {
        error(&["logits", "--model", model, "--device", "cpu", "--tokens", tokens, "--json"])
    };
    assert_eq!(logits(&nowhere, "1"), "file");
    assert_eq!(logits(&model, "320"), "request");
    assert_eq!(error(&["perplexity", "--model", &model, "--device", "cpu", "--text", &nowhere, "--json"]), "file");
    let full = ["generate", "--model", &model, "--device", "cpu", "--tokens", "1,2,3", "--max-new", "1", "--json"];
    assert_eq!(error(&[&full[..], &["--context", "2"]].concat()), "context_full");
    let usage = moebius(&["logits", "--model", &model]);
    assert_eq!((usage.status.code(), usage.stdout.len()), (Some(2), 0));
}

#[test]
fn a_conversation_on_the_terminal() {
    let model = path("qwen3_moe");
    let arguments = ["chat", "--model", &model, "--device", "cpu", "--context", "64", "--temperature", "0"];
    let mut child = Command::new(BINARY)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"Hi\n/new\n/think off\nHi\n/what\n/quit\n").unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    let answers = String::from_utf8(out.stdout).unwrap();
    assert!(answers.matches("> ").count() >= 6, "{answers}");
    assert!(answers.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "{answers:?}");
    assert!(String::from_utf8_lossy(&out.stderr).contains("read at"));
}

/// A running server, ended when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn new(folder: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["serve", folder.to_str().unwrap(), "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        Server { child, port }
    }

    /// Status, headers in lower case, and body of a request.
    fn ask(&self, method: &str, path: &str, headers: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, all[end + 4..].to_vec())
    }
}

#[test]
fn the_server_is_a_static_host_with_isolation() {
    let folder = scratch("serve");
    std::fs::create_dir_all(folder.join("site/sub")).unwrap();
    std::fs::write(folder.join("secret.txt"), "secret").unwrap();
    let data: Vec<u8> = (0..=255).collect();
    for (name, bytes) in [
        ("index.html", b"<!doctype html>".as_slice()),
        ("a.js", b"1"),
        ("a.css", b"a{}"),
        ("a.wasm", b"\0asm"),
        ("a.json", b"{}"),
        ("a.bin", &data),
        (".hidden", b"hidden"),
    ] {
        std::fs::write(folder.join("site").join(name), bytes).unwrap();
    }
    let server = Server::new(&folder.join("site"));
    let kinds = [
        ("/", "text/html"),
        ("/a.js", "text/javascript"),
        ("/a.css", "text/css"),
        ("/a.wasm", "application/wasm"),
        ("/a.json", "application/json"),
    ];
    for (path, kind) in kinds {
        let (status, head, _) = server.ask("GET", path, "");
        assert_eq!(status, 200, "{path}");
        assert!(head.contains(&format!("content-type: {kind}")), "{path}: {head}");
        for header in [
            "cross-origin-opener-policy: same-origin",
            "cross-origin-embedder-policy: require-corp",
            "cross-origin-resource-policy: same-origin",
            "x-content-type-options: nosniff",
        ] {
            assert!(head.contains(header), "{path}: {head}");
        }
    }
    let (status, head, body) = server.ask("GET", "/a.bin", "range: bytes=10-19\r\n");
    assert_eq!((status, body.as_slice()), (206, &data[10..20]));
    assert!(head.contains("content-range: bytes 10-19/256"), "{head}");
    assert_eq!(server.ask("GET", "/a.bin", "range: bytes=-6\r\n").2, data[250..]);
    assert_eq!(server.ask("GET", "/a.bin", "range: bytes=250-\r\n").2, data[250..]);
    assert_eq!(server.ask("GET", "/a.bin", "range: bytes=256-300\r\n").0, 416);
    let (status, head, body) = server.ask("HEAD", "/a.bin", "");
    assert_eq!((status, body.len()), (200, 0));
    assert!(head.contains("content-length: 256"), "{head}");
    let outside = [
        "/nowhere",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/../../secret.txt",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/.hidden",
        "/%2ehidden",
        "/a.bin%00.html",
    ];
    for path in outside {
        let (status, _, body) = server.ask("GET", path, "");
        assert!((400..500).contains(&status), "{path}: {status}");
        assert!(!body.windows(6).any(|w| w == b"secret" || w == b"hidden" || w == b"root:x"), "{path}");
    }
    assert_eq!(server.ask("POST", "/a.bin", "content-length: 0\r\n").0, 405);
    drop(server);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_taken_port_and_a_missing_folder_are_said() {
    let taken = Server::new(&fixture("tokenizer"));
    let port = taken.port.to_string();
    let again = moebius(&["serve", fixture("tokenizer").to_str().unwrap(), "--port", &port]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains(&port));
    let missing = moebius(&["serve", &path("nowhere")]);
    assert!(!missing.status.success());
}
