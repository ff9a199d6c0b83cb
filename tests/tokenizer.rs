//! Tokenizer: golden ids of transformers, exact decoding, streams of whole characters, and files that must be refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use moebius_engine::Error;
use moebius_engine::session::{Tokenizer, Utf8};
use moebius_tests::{bytes, ids, json};
use serde_json::{Value, json};

const FOLDERS: [&str; 3] = ["tokenizer", "tokenizer/llama3", "tokenizer/deepseek"];

fn load(folder: &str) -> Tokenizer {
    Tokenizer::new(&bytes(&format!("{folder}/tokenizer.json"))).unwrap()
}

/// The plain fixture with a change.
fn changed(change: impl Fn(&mut Value)) -> moebius_engine::Result<Tokenizer> {
    let mut json = json("tokenizer/tokenizer.json");
    change(&mut json);
    Tokenizer::new(json.to_string().as_bytes())
}

#[test]
fn encodes_as_transformers_does() {
    for folder in FOLDERS {
        let tokenizer = load(folder);
        let cases = json(&format!("{folder}/ids.json"));
        for case in cases.as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), ids(&case["ids"]), "{folder}: {text:?}");
        }
        assert!(cases.as_array().unwrap().len() > 300, "{folder}");
    }
}

#[test]
fn control_tokens_in_a_text_are_text() {
    for folder in FOLDERS {
        let tokenizer = load(folder);
        assert!(tokenizer.controls().len() >= 5, "{folder}");
        for control in tokenizer.controls() {
            for text in [control.clone(), format!("a{control}b"), format!(" {control}\n{control}")] {
                let ids = tokenizer.encode(&text).unwrap();
                assert!(ids.iter().all(|id| !tokenizer.is_control(*id)), "{folder}: {text:?} gave {ids:?}");
                assert_eq!(tokenizer.decode(&ids), text, "{folder}");
            }
        }
    }
}

#[test]
fn decodes_as_transformers_does_and_streams_whole_characters() {
    for folder in ["tokenizer", "tokenizer/deepseek"] {
        let tokenizer = load(folder);
        for case in json(&format!("{folder}/decode.json")).as_array().unwrap() {
            let ids = ids(&case["ids"]);
            assert_eq!(tokenizer.decode(&ids), case["text"].as_str().unwrap(), "{folder}: {ids:?}");
            let plain: Vec<u32> = ids.iter().copied().filter(|id| !tokenizer.is_control(*id)).collect();
            let whole = case["text"].as_str().unwrap();
            let mut stream = tokenizer.stream();
            let mut text: String = ids.iter().map(|id| stream.push(&tokenizer, *id)).collect();
            text += stream.finish();
            assert_eq!(text, whole, "{folder}: {ids:?}");
            // transformers skips only tokens declared special; here bracketed ones are controls, too.
            let without = case["without_special"].as_str().unwrap();
            let controls = ids.iter().filter(|id| tokenizer.is_control(**id)).map(|id| tokenizer.decode(&[*id]));
            if controls.into_iter().all(|control| !without.contains(&control)) {
                assert_eq!(tokenizer.decode(&plain), without, "{folder}: {ids:?}");
            }
        }
    }
}

#[test]
fn a_character_cut_anywhere_is_held_back() {
    let text = "a\u{e9}日🙂\u{FFFD}e\u{301}z";
    for cut in 0..=text.len() {
        let mut stream = Utf8::default();
        let (first, second) = (stream.push(&text.as_bytes()[..cut]), stream.push(&text.as_bytes()[cut..]));
        assert!(text.starts_with(&first), "cut at {cut}: {first:?}");
        assert_eq!(first + &second + stream.finish(), text, "cut at {cut}");
    }
    let mut stream = Utf8::default();
    assert_eq!(stream.push(b"\xff\xe6\x97"), "\u{FFFD}");
    assert_eq!(stream.push(b"x"), "\u{FFFD}x");
    assert_eq!(stream.push(b"\xf0\x9f"), "");
    assert_eq!(stream.finish(), "\u{FFFD}");
}

#[test]
fn an_exhausted_pattern_is_an_error() {
    let hostile = |json: &mut Value| {
        json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!("(a|aa)+(?=b)|.");
    };
    let tokenizer = changed(hostile).unwrap();
    assert_eq!(tokenizer.encode(&"a".repeat(12)).unwrap().len(), 12);
    let long = tokenizer.encode(&"a".repeat(40));
    assert!(matches!(long, Err(Error::Tokenizer(_))), "{long:?}");
}

#[test]
fn a_run_too_long_for_the_pattern_is_an_error_and_not_wrong_ids() {
    let tokenizer = load("tokenizer");
    let space = tokenizer.encode(" ").unwrap();
    for length in [1_000, 300_000, 2_000_000] {
        match tokenizer.encode(&" ".repeat(length)) {
            Ok(ids) => assert_eq!(ids, space.repeat(length), "{length} spaces"),
            Err(error) => {
                assert_eq!(error.code(), "tokenizer", "{length} spaces");
                assert!(length > 300_000, "{length} spaces refused");
            }
        }
    }
}

#[test]
fn files_that_make_the_crate_panic_are_refused() {
    let merges = |merges: Value, vocab: Value| {
        changed(|json| {
            json["model"]["merges"] = merges.clone();
            json["model"]["vocab"] = vocab.clone();
            json["added_tokens"] = json!([{"id": 999, "content": "<|end|>", "special": true}]);
        })
    };
    let refused = |result: moebius_engine::Result<Tokenizer>, why: &str| match result {
        Ok(_) => panic!("accepted: {why}"),
        Err(error) => assert!(matches!(error.code(), "tokenizer" | "unsupported" | "limit"), "{why}: {error}"),
    };
    refused(merges(json!(["aa bb"]), json!({"aa": 0, "bb": 1})), "a merge outside the vocabulary");
    refused(merges(json!(["aabb"]), json!({"aa": 0, "bb": 1})), "a merge of one");
    refused(merges(json!([["a", "b", "c"]]), json!({"a": 0, "b": 1, "c": 2})), "a merge of three");
    refused(merges(json!([]), json!({})), "an empty vocabulary");
    refused(merges(json!([]), json!({"a": -1})), "a negative id");
    refused(merges(json!([]), json!({"a": 4_000_000_000_u32})), "a huge id");
    refused(merges(json!(["<|end |>"]), json!({"<|end": 0, "|>": 1, "<|end|>": 2})), "a merge that makes a control");
    refused(changed(|j| j["model"]["type"] = json!("Unigram")), "another model");
    refused(changed(|j| j["model"]["dropout"] = json!(0.5)), "dropout");
    refused(changed(|j| j["model"]["unk_token"] = json!("nowhere")), "an unknown unknown token");
    refused(changed(|j| j["decoder"] = json!({"type": "Strip", "content": "a", "start": 9, "stop": 9})), "a strip");
    refused(
        changed(|j| j["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "AA=="})),
        "a charsmap",
    );
    refused(changed(|j| j["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0})), "a length of zero");
    refused(changed(|j| j["added_tokens"][0]["id"] = json!(2_000_000_000)), "a huge added id");
    refused(changed(|j| j["added_tokens"][0]["content"] = json!("")), "an empty added token");
    let deep = (0..200).fold(json!(null), |inner, _| json!({"type": "Sequence", "pretokenizers": [inner]}));
    refused(changed(|j| j["pre_tokenizer"] = deep.clone()), "nesting");
    refused(Tokenizer::new(b"{"), "no JSON");
}

#[test]
fn a_control_token_in_the_vocabulary_cannot_be_reached_by_ignoring_merges() {
    let tokenizer = changed(|json| {
        json["model"]["ignore_merges"] = json!(true);
        json["pre_tokenizer"] = json!({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false});
    });
    let tokenizer = tokenizer.unwrap();
    let ids = tokenizer.encode("<|end|>").unwrap();
    assert!(ids.len() > 1 && !ids.contains(&1), "{ids:?}");
}

#[test]
fn sentencepiece_files_round_trip() {
    let letters = ["▁", "a", "b", "c", "▁a", "ab", "<0x0A>", "<0xC3>", "<0xA9>", "<unk>", "<s>", "</s>"];
    let vocab: serde_json::Map<String, Value> =
        letters.iter().enumerate().map(|(i, l)| ((*l).to_owned(), json!(i))).collect();
    let control = |id: u32, text: &str| json!({"id": id, "content": text, "special": true, "normalized": false});
    let file = json!({
        "added_tokens": [control(9, "<unk>"), control(10, "<s>"), control(11, "</s>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab,
            "merges": ["▁ a", "a b"]},
    });
    let tokenizer = Tokenizer::new(file.to_string().as_bytes()).unwrap();
    assert_eq!(tokenizer.encode("a ab").unwrap(), [4, 4, 2]);
    assert_eq!(tokenizer.encode("cé\n").unwrap(), [0, 3, 7, 8, 6]);
    for text in ["a ab c", "cé\nab", "a"] {
        assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()), text);
    }
    assert!(!tokenizer.encode("a</s>").unwrap().contains(&11));
}

#[test]
fn broken_files_are_refused_by_name() {
    let mut seen = 0;
    for row in json("hostile/index.json").as_array().unwrap() {
        let folder = row["folder"].as_str().unwrap();
        if !folder.starts_with("tokenizer/") {
            continue;
        }
        let Err(error) = Tokenizer::new(&bytes(&format!("hostile/{folder}/tokenizer.json"))) else {
            panic!("{folder} accepted: {}", row["wrong"]);
        };
        assert!(row["codes"].as_array().unwrap().contains(&json!(error.code())), "{folder}: {error}");
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}
