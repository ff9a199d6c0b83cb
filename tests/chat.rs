//! Chat and completion: streams, reasoning, log-probabilities, requests and replies.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod clock;
mod folder;

use std::ops::ControlFlow;
use std::rc::Rc;

use clock::Clock;
use folder::folder;
use moebius_engine::Error;
use moebius_engine::chat::{Chat, ChatRequest, CompletionRequest, Finish};
use moebius_engine::device::Cpu;
use moebius_engine::model::{LoadOptions, Model};
use moebius_engine::source::Memory;
use moebius_tests::json;
use pollster::block_on;
use serde_json::{Value, json};

fn model(source: &Memory, context: Option<usize>) -> Model {
    let options = LoadOptions { context, ..LoadOptions::default() };
    block_on(Model::load(source, Rc::new(Cpu), &options, &mut |_| {})).unwrap()
}

fn chat(source: &Memory) -> Chat {
    block_on(Chat::new("tiny", model(source, None))).unwrap()
}

/// The fixture with a template that ends as thinking.
fn thinker() -> Memory {
    let mut source = folder("qwen3_moe");
    let template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}<|assistant|>\
                    {% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}";
    source.insert("chat_template.jinja", template);
    source
}

fn ask(value: Value) -> ChatRequest {
    ChatRequest::parse(&value.to_string()).unwrap()
}

#[test]
fn an_answer_streams_what_it_returns() {
    let mut chat = chat(&folder("qwen3_moe"));
    for stop in [json!([]), json!([" "]), json!(["e", "zq"])] {
        let asked = ask(json!({
            "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 60, "temperature": 1.5, "seed": 3,
            "stop": stop, "stream": true, "stream_options": {"include_usage": true}}));
        let mut chunks = Vec::new();
        let host = Clock::new(usize::MAX);
        let mut sink = |chunk| {
            chunks.push(serde_json::to_value(chunk).unwrap());
            ControlFlow::Continue(())
        };
        let reply = block_on(chat.respond(&asked, &host, &mut sink)).unwrap();
        let [choice] = &reply.choices;
        let part = |key: &str| -> String {
            let deltas = chunks.iter().filter_map(|c| c["choices"][0]["delta"][key].as_str());
            deltas.collect()
        };
        assert_eq!(part("content"), choice.message.content);
        assert_eq!(part("reasoning_content"), choice.message.reasoning_content.clone().unwrap_or_default());
        assert_eq!(part("role"), "assistant");
        for text in stop.as_array().unwrap() {
            assert!(!choice.message.content.contains(text.as_str().unwrap()));
        }
        let (last, finish) = (&chunks[chunks.len() - 1], &chunks[chunks.len() - 2]);
        assert_eq!((last["choices"].as_array().unwrap().len(), &last["object"]), (0, &json!("chat.completion.chunk")));
        assert_eq!(last["usage"]["completion_tokens"], json!(reply.usage.completion_tokens));
        assert_eq!(finish["choices"][0]["finish_reason"], serde_json::to_value(choice.finish_reason).unwrap());
        assert!(finish["timings"]["predicted_per_second"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn log_probabilities_are_those_of_the_logits() {
    let mut chat = chat(&folder("qwen3_moe"));
    let golden = json("qwen3_moe/golden.json");
    let host = Clock::new(usize::MAX);
    let asked = json!({"prompt": golden["prompt"], "max_tokens": 12, "temperature": 0, "logprobs": 0, "return_token_ids": true});
    let asked = CompletionRequest::parse(&asked.to_string()).unwrap();
    let whole = block_on(chat.complete(&asked, &host, &mut |_| ControlFlow::Continue(()))).unwrap();
    let choice = &whole.choices[0];
    let (ids, said) = (choice.token_ids.clone().unwrap(), choice.logprobs.clone().unwrap());
    // A control token, which the answer begins with here, is no text.
    assert!(said.tokens.concat().ends_with(&choice.text) && said.token_logprobs.len() == 12);
    let mut prompt: Vec<u32> = serde_json::from_value(golden["prompt"].clone()).unwrap();
    for (id, said) in ids.iter().zip(said.token_logprobs) {
        let logits = block_on(chat.session.logits(&prompt, &host)).unwrap();
        let total: f64 = logits.iter().map(|v| f64::from(*v).exp()).sum();
        let want = f64::from(logits[*id as usize]) - total.ln();
        assert!((want - f64::from(said)).abs() < 1e-4, "token {id}: {want} and {said}");
        prompt.push(*id);
    }
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let asked = ask(json!({"messages": messages, "max_tokens": 30, "temperature": 1, "seed": 5, "logprobs": true}));
    let (mut streamed, mut thought) = (Vec::new(), Vec::new());
    let mut sink = |chunk: moebius_engine::chat::ChatChunk| {
        let said = chunk.choices[0].logprobs.clone().unwrap();
        streamed.extend(said.content);
        thought.extend(said.reasoning_content);
        ControlFlow::Continue(())
    };
    let reply = block_on(chat.respond(&asked, &host, &mut sink)).unwrap();
    let all = reply.choices[0].logprobs.clone().unwrap();
    assert_eq!((&streamed, &thought), (&all.content, &all.reasoning_content));
    assert_eq!(streamed.len() + thought.len(), reply.usage.completion_tokens);
    assert!(streamed.iter().all(|token| token.logprob <= 0.0 && token.logprob.is_finite()));
}

#[test]
fn a_second_turn_reuses_the_first() {
    let mut chat = chat(&folder("deepseek_v3_lite"));
    let mut messages = vec![json!({"role": "user", "content": "Tell me of the tide, at some length, please."})];
    let host = Clock::new(usize::MAX);
    let mut turn = |messages: &Vec<Value>| {
        let asked = ask(json!({"messages": messages, "max_tokens": 8, "temperature": 0}));
        block_on(chat.respond(&asked, &host, &mut |_| ControlFlow::Continue(()))).unwrap()
    };
    let first = turn(&messages);
    assert_eq!(first.usage.prompt_tokens_details.cached_tokens, 0);
    messages.push(json!({"role": "assistant", "content": first.choices[0].message.content}));
    messages.push(json!({"role": "user", "content": "More"}));
    let second = turn(&messages);
    let cached = second.usage.prompt_tokens_details.cached_tokens;
    assert!(cached >= first.usage.prompt_tokens - 1, "{cached} of {}", second.usage.prompt_tokens);
    assert_eq!(second.timings.cache_n, cached);
}

#[test]
fn thinking_has_a_dial_and_its_own_field() {
    let mut chat = chat(&thinker());
    let host = Clock::new(usize::MAX);
    let mut turn = |more: Value| {
        let mut asked = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 40, "temperature": 0});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut text = String::new();
        let mut sink = |chunk: moebius_engine::chat::ChatChunk| {
            for choice in chunk.choices {
                text += &choice.delta.reasoning_content.unwrap_or_default();
                text += &choice.delta.content.unwrap_or_default();
            }
            ControlFlow::Continue(())
        };
        let reply = block_on(chat.respond(&ask(asked), &host, &mut sink)).unwrap();
        let [choice] = reply.choices;
        let whole = choice.message.reasoning_content.clone().unwrap_or_default() + &choice.message.content;
        assert_eq!(text, whole);
        (choice.message, reply.usage)
    };
    let (long, usage) = turn(json!({}));
    assert!(long.reasoning_content.is_some());
    assert!(usage.completion_tokens_details.reasoning_tokens > 5, "{usage:?}");
    let (short, usage) = turn(json!({"reasoning_budget": 3}));
    assert_eq!(usage.completion_tokens_details.reasoning_tokens, 3);
    assert!(long.reasoning_content.unwrap().starts_with(short.reasoning_content.as_deref().unwrap()));
    assert!(!short.content.is_empty() && !short.content.contains("think>"));
    for off in [
        json!({"enable_thinking": false}),
        json!({"reasoning_budget": 0}),
        json!({"chat_template_kwargs": {"enable_thinking": false}}),
    ] {
        let (plain, usage) = turn(off);
        assert_eq!((plain.reasoning_content, usage.completion_tokens_details.reasoning_tokens), (None, 0));
    }
}

#[test]
fn what_a_request_leaves_open_is_as_the_model_has_it() {
    let said = |generation: &str, request: Value| {
        let mut source = folder("qwen3_moe");
        source.insert("generation_config.json", generation);
        let mut asked = json!({"prompt": [5, 6, 7, 8], "max_tokens": 24, "ignore_eos": true, "seed": 3});
        asked.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
        let asked = CompletionRequest::parse(&asked.to_string()).unwrap();
        let reply =
            block_on(chat(&source).complete(&asked, &Clock::new(usize::MAX), &mut |_| ControlFlow::Continue(())));
        reply.unwrap().choices[0].text.clone()
    };
    let own = r#"{"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95}"#;
    let plain = said("{}", json!({}));
    assert_eq!(said(own, json!({})), said("{}", json!({"temperature": 0.6, "top_k": 20, "top_p": 0.95})));
    assert_eq!(said(own, json!({"temperature": 1, "top_k": 0, "top_p": 1})), plain, "a request has the last word");
    assert_ne!(said(own, json!({})), plain);
    let greedy = said("{}", json!({"temperature": 0}));
    assert_eq!(said(r#"{"do_sample": false, "temperature": 0.6}"#, json!({})), greedy);
    assert_ne!(greedy, plain);
    for (generation, key) in [(r#"{"temperature": "hot"}"#, "temperature"), (r#"{"top_p": 1.5}"#, "top_p")] {
        let mut source = folder("qwen3_moe");
        source.insert("generation_config.json", generation);
        match block_on(Model::load(&source, Rc::new(Cpu), &LoadOptions::default(), &mut |_| {})).map(|_| ()) {
            Err(Error::Config { file, field, .. }) => assert_eq!((&*file, &*field), ("generation_config.json", key)),
            other => panic!("{generation}: {other:?}"),
        }
    }
}

#[test]
fn a_text_is_continued_and_its_stream_is_its_text() {
    let mut chat = chat(&folder("qwen3_moe"));
    let host = Clock::new(usize::MAX);
    let mut complete = |value: Value| {
        let asked = CompletionRequest::parse(&value.to_string()).unwrap();
        let mut text = String::new();
        let mut sink = |chunk: moebius_engine::chat::Completion| {
            text += &chunk.choices[0].text;
            ControlFlow::Continue(())
        };
        let whole = block_on(chat.complete(&asked, &host, &mut sink)).unwrap();
        assert_eq!(whole.choices[0].text, text);
        (text, whole)
    };
    let golden = json("qwen3_moe/golden.json");
    let tokens = json!({"prompt": golden["prompt"], "max_tokens": 32, "temperature": 0});
    let (text, whole) = complete(tokens);
    assert_eq!(whole.usage.unwrap().total_tokens, 72);
    let (same, _) = complete(json!({"prompt": golden["prompt"], "max_completion_tokens": 32, "top_k": 1, "seed": -4}));
    assert_eq!(same, text);
    let cut: String = text.chars().skip(4).take(2).collect();
    let (before, whole) =
        complete(json!({"prompt": golden["prompt"], "max_tokens": 32, "temperature": 0, "stop": cut}));
    assert_eq!(
        (before.as_str(), whole.choices[0].finish_reason),
        (&text[..text.find(&cut).unwrap()], Some(Finish::Stop))
    );
    let (_, whole) = complete(json!({"prompt": "The tide<|end|>", "max_tokens": 1, "temperature": 0}));
    assert!(whole.usage.unwrap().prompt_tokens > 4);
}

#[test]
fn requests_are_refused_by_field() {
    let messages = json!([{"role": "user", "content": "x"}]);
    let with = |key: &str, value: Value| {
        let mut asked = json!({"messages": messages});
        asked[key] = value;
        asked
    };
    let cases = [
        (json!({}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user", "content": 3}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}), "messages[0].content[0].type"),
        (json!({"messages": [{"role": "user", "content": "x", "weight": 1}]}), "messages[0].weight"),
        (with("temperature", json!(-1)), "temperature"),
        (with("temperature", json!("hot")), "temperature"),
        (with("top_p", json!(1.5)), "top_p"),
        (with("top_k", json!(-1)), "top_k"),
        (with("seed", json!(1.5)), "seed"),
        (with("stop", json!([""])), "stop"),
        (with("stop", json!(5)), "stop"),
        (with("n", json!(2)), "n"),
        (with("tools", json!([{}])), "tools"),
        (with("logprobs", json!(5)), "logprobs"),
        (with("top_logprobs", json!(3)), "top_logprobs"),
        (with("presence_penalty", json!(0.5)), "presence_penalty"),
        (with("reasoning_budget", json!(-2)), "reasoning_budget"),
        (with("chat_template_kwargs", json!({"messages": []})), "chat_template_kwargs.messages"),
        (with("stream_options", json!({"x": 1})), "stream_options.x"),
        (with("max_tokens", json!(-5)), "max_tokens"),
        (with("temprature", json!(1)), "temprature"),
    ];
    for (asked, field) in cases {
        match ChatRequest::parse(&asked.to_string()) {
            Err(Error::Request { field: named, .. }) => assert_eq!(named, field, "{asked}"),
            other => panic!("{asked}: {other:?}"),
        }
    }
    for neutral in ["n", "logprobs", "presence_penalty", "tools", "response_format", "seed"] {
        ask(with(neutral, Value::Null));
    }
    ask(with("n", json!(1)));
    ask(with("frequency_penalty", json!(0.0)));
    assert!(ChatRequest::parse("[").is_err() && ChatRequest::parse("[]").is_err());
    assert!(CompletionRequest::parse(r#"{"prompt": ["a"]}"#).is_err());
    let mut chat = chat(&folder("qwen3_moe"));
    let other = ask(with("model", json!("another")));
    let refused = block_on(chat.respond(&other, &Clock::new(9), &mut |_| ControlFlow::Continue(())));
    assert!(matches!(refused, Err(Error::Request { field, .. }) if field == "model"));
}
