//! Sessions and chat: what is kept between turns, what ends an answer, sampling, streams, requests and replies.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod folder;

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use async_trait::async_trait;
use folder::folder;
use moebius_engine::chat::{Chat, ChatRequest, CompletionRequest, Finish};
use moebius_engine::device::Cpu;
use moebius_engine::model::{LoadOptions, Model};
use moebius_engine::session::{Host, Next, Report, Request, Sampling, Session, Token};
use moebius_engine::source::Memory;
use moebius_engine::{Error, Result};
use moebius_tests::{ids, json};
use pollster::block_on;
use serde_json::{Value, json};

/// A clock that moves a millisecond a look, and breaths that can be counted out.
struct Clock {
    now: Cell<f64>,
    breaths: Cell<usize>,
}

impl Clock {
    fn new(breaths: usize) -> Self {
        Clock { now: Cell::new(1_700_000_000_000.0), breaths: Cell::new(breaths) }
    }
}

#[async_trait(?Send)]
impl Host for Clock {
    fn now(&self) -> f64 {
        self.now.set(self.now.get() + 1.0);
        self.now.get()
    }

    async fn breathe(&self) -> ControlFlow<()> {
        let left = self.breaths.get();
        self.breaths.set(left.saturating_sub(1));
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn model(source: &Memory, context: Option<usize>) -> Model {
    let options = LoadOptions { context, ..LoadOptions::default() };
    block_on(Model::load(source, Rc::new(Cpu), &options, &mut |_| {})).unwrap()
}

fn session(name: &str, context: usize) -> Session {
    block_on(Session::new(model(&folder(name), Some(context)))).unwrap()
}

fn chat(source: &Memory) -> Chat {
    block_on(Chat::new("tiny", model(source, None))).unwrap()
}

fn request(prompt: &[u32], max_new: usize) -> Request<'_> {
    Request { prompt, sampling: Sampling::greedy(), max_new, stop_at_end: false, not_first: None }
}

fn run(session: &mut Session, request: &Request<'_>) -> Result<Report> {
    block_on(session.generate(request, &Clock::new(usize::MAX), &mut |_| Next::Go))
}

fn sampled(temperature: f32, seed: u64) -> Sampling {
    let mut sampling = Sampling { seed: Some(seed), ..Sampling::default() };
    sampling.settings.temperature = temperature;
    sampling
}

#[test]
fn greedy_tokens_are_transformers_and_the_end_token_ends() {
    for name in ["qwen3_moe", "deepseek_v3_lite"] {
        let golden = json(&format!("{name}/golden.json"));
        let (prompt, greedy) = (ids(&golden["prompt"]), ids(&golden["greedy"]));
        let mut session = session(name, 128);
        let report = run(&mut session, &request(&prompt, 32)).unwrap();
        assert_eq!((report.tokens, report.finish), (greedy, Finish::Length), "{name}");
        if let Some(stopped) = golden.get("stopped") {
            let report = run(&mut session, &Request { stop_at_end: true, ..request(&prompt, 32) }).unwrap();
            let stopped = ids(stopped);
            let end = stopped.last().unwrap();
            assert!(session.ends.contains(end));
            assert_eq!((report.tokens.as_slice(), report.finish), (&stopped[..stopped.len() - 1], Finish::Stop));
        }
    }
}

#[test]
fn what_is_kept_changes_nothing_but_the_work() {
    let golden = json("deepseek_v3/golden.json");
    let prompt = ids(&golden["prompt"]);
    let mut kept = session("deepseek_v3", 128);
    let first = run(&mut kept, &request(&prompt, 8)).unwrap();
    assert_eq!((first.timings.cache_n, first.timings.prompt_n), (0, 40));
    let longer: Vec<u32> = prompt.iter().chain(&first.tokens).copied().chain([7, 8, 9]).collect();
    let shorter = prompt[..20].to_vec();
    let other: Vec<u32> = prompt[..11].iter().copied().chain(50..120).collect();
    for prompt in [&longer, &shorter, &other, &prompt, &prompt] {
        let again = run(&mut kept, &request(prompt, 12)).unwrap();
        let fresh = run(&mut session("deepseek_v3", 128), &request(prompt, 12)).unwrap();
        assert_eq!(again.tokens, fresh.tokens, "{} tokens", prompt.len());
        assert!(again.timings.cache_n > 0 && again.timings.cache_n < prompt.len());
        assert_eq!(again.timings.cache_n + again.timings.prompt_n, prompt.len());
    }
    let twice = run(&mut kept, &request(&prompt, 1)).unwrap();
    assert_eq!(twice.timings.prompt_n, 1);
}

/// Convolutions see a ring of what was, so that a conversation can be taken back by a little; by more, it is read anew.
#[test]
fn a_conversation_with_convolutions_is_taken_back() {
    let long: Vec<u32> = (0..600).map(|i| 5 + i * 37 % 290).collect();
    let mut kept = session("lfm2_moe", 700);
    run(&mut kept, &request(&long, 8)).unwrap();
    for (shared, reused) in [(590, 590), (520, 520), (300, 0), (290, 290)] {
        let prompt = [&long[..shared], &[7, 8, 9]].concat();
        let again = run(&mut kept, &request(&prompt, 12)).unwrap();
        let fresh = run(&mut session("lfm2_moe", 700), &request(&prompt, 12)).unwrap();
        assert_eq!((again.tokens, again.timings.cache_n), (fresh.tokens, reused), "{shared} tokens shared");
    }
}

#[test]
fn a_sink_stops_and_a_host_aborts_and_the_session_goes_on() {
    let prompt = ids(&json("qwen3_moe/golden.json")["prompt"]);
    let mut session = session("qwen3_moe", 128);
    let whole = run(&mut session, &request(&prompt, 20)).unwrap().tokens;
    let mut count = 0;
    let mut third = |_| {
        count += 1;
        if count == 3 { Next::Stop } else { Next::Go }
    };
    let report = block_on(session.generate(&request(&prompt, 20), &Clock::new(usize::MAX), &mut third)).unwrap();
    assert_eq!((report.tokens.as_slice(), report.finish), (&whole[..3], Finish::Stop));
    for breaths in [0, 1, 5] {
        session.reset();
        let report = block_on(session.generate(&request(&prompt, 20), &Clock::new(breaths), &mut |_| Next::Go));
        let report = report.unwrap();
        assert_eq!(report.finish, Finish::Abort);
        assert_eq!(report.tokens, whole[..breaths], "{breaths} breaths, one of them for the prompt");
    }
    assert_eq!(run(&mut session, &request(&prompt, 20)).unwrap().tokens, whole);
}

#[test]
fn forced_tokens_come_next() {
    let prompt = ids(&json("qwen3_moe/golden.json")["prompt"]);
    let mut session = session("qwen3_moe", 128);
    let mut seen = Vec::new();
    let mut sink = |token: Token| {
        seen.push(token.id);
        if seen.len() == 2 { Next::Force(vec![11, 12]) } else { Next::Go }
    };
    let report = block_on(session.generate(&request(&prompt, 6), &Clock::new(usize::MAX), &mut sink)).unwrap();
    assert_eq!(report.tokens, seen);
    assert_eq!(report.tokens[2..4], [11, 12]);
    let told: Vec<u32> = prompt.iter().chain(&report.tokens[..4]).copied().collect();
    assert_eq!(run(&mut session, &request(&told, 2)).unwrap().tokens, report.tokens[4..]);
    let refused = Request { not_first: Some(seen[0]), ..request(&prompt, 1) };
    assert_ne!(run(&mut session, &refused).unwrap().tokens[0], seen[0]);
}

#[test]
fn a_context_that_is_full_is_said() {
    let prompt = ids(&json("qwen3_moe/golden.json")["prompt"]);
    let mut session = session("qwen3_moe", 44);
    let report = run(&mut session, &request(&prompt, 100)).unwrap();
    assert_eq!((report.tokens.len(), report.finish), (5, Finish::Length));
    let long: Vec<u32> = (0..45).collect();
    assert_eq!(run(&mut session, &request(&long, 1)), Err(Error::ContextFull { prompt: 45, context: 44 }));
    assert_eq!(run(&mut session, &request(&long[..44], 9)).unwrap().tokens.len(), 1);
    for (prompt, why) in [(vec![], "no tokens"), (vec![320], "outside the vocabulary")] {
        let error = run(&mut session, &request(&prompt, 1)).unwrap_err();
        assert!(error.code() == "request" && error.to_string().contains(why), "{error}");
    }
}

#[test]
fn sampling_repeats_by_seed_and_follows_the_distribution() {
    let prompt = ids(&json("qwen3_moe/golden.json")["prompt"]);
    let mut session = session("qwen3_moe", 128);
    let mut draw = |sampling| run(&mut session, &Request { sampling, ..request(&prompt, 12) }).unwrap().tokens;
    let first = draw(sampled(2.0, 7));
    assert_eq!(first, draw(sampled(2.0, 7)));
    assert_ne!(first, draw(sampled(2.0, 8)));
    let mut cold = sampled(1e-3, 3);
    let greedy = draw(Sampling::greedy());
    assert_eq!(draw(cold), greedy);
    cold.settings.temperature = 5.0;
    cold.settings.top_k = 1;
    assert_eq!(draw(cold), greedy);

    // 2,000 first tokens against the probabilities of the logits.
    let logits = block_on(session.logits(&prompt, &Clock::new(usize::MAX))).unwrap();
    let temperature = 3.0;
    let weights: Vec<f64> = logits.iter().map(|v| (f64::from(*v) / temperature).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut counts = vec![0.0; logits.len()];
    let draws = 2_000;
    for seed in 0..draws {
        let sampling = sampled(temperature as f32, seed);
        let report = run(&mut session, &Request { sampling, ..request(&prompt, 1) }).unwrap();
        counts[report.tokens[0] as usize] += 1.0;
    }
    // Total variation distance; by chance alone it is about 0.1 here, and far more if the draw were skewed.
    let gap = |(w, n): (&f64, &f64)| (w / total - n / draws as f64).abs();
    let distance = weights.iter().zip(&counts).map(gap).sum::<f64>() / 2.0;
    println!("total variation distance of {draws} draws: {distance:.3}");
    assert!(distance < 0.2, "{distance}");
}

#[test]
fn repetition_is_discouraged_over_the_prompt_and_the_answer() {
    let prompt = ids(&json("qwen3_moe/golden.json")["prompt"]);
    let mut session = session("qwen3_moe", 128);
    let mut sampling = sampled(1e-3, 1);
    sampling.settings.repetition_penalty = 50.0;
    let tokens = run(&mut session, &Request { sampling, ..request(&prompt, 24) }).unwrap().tokens;
    let mut seen = prompt.clone();
    for id in &tokens {
        assert!(!seen.contains(id), "{id} again in {tokens:?}");
        seen.push(*id);
    }
    // The next request starts with its own prompt.
    assert_eq!(run(&mut session, &Request { sampling, ..request(&prompt, 24) }).unwrap().tokens, tokens);
}

#[test]
fn scores_are_transformers() {
    let golden = &json("deepseek_v3/golden.json")["excerpt"];
    let (tokens, nll): (Vec<u32>, Vec<f64>) =
        (ids(&golden["ids"]), serde_json::from_value(golden["nll"].clone()).unwrap());
    assert!(tokens.len() > 64, "more than a chunk");
    let mut session = session("deepseek_v3", 128);
    let host = Clock::new(usize::MAX);
    let scores = block_on(session.score(&tokens, 128, &host)).unwrap();
    assert_eq!(scores.len(), nll.len());
    assert!(scores.iter().zip(&nll).all(|(a, b)| (a - b).abs() < 1e-3));
    let windows = block_on(session.score(&tokens, 10, &host)).unwrap();
    assert_eq!(windows.len(), tokens.len() - tokens.len().div_ceil(10));
    assert!((windows[0] - nll[0]).abs() < 1e-3 && (windows[9] - nll[10]).abs() > 1e-6);
}

#[test]
fn a_model_whose_logits_are_not_numbers_is_an_error() {
    let mut session = session("qwen3_moe", 64);
    let nan = f32::NAN.to_le_bytes().repeat(96);
    session.model.device.write(&session.model.weights.norm.weight, 0, &nan).unwrap();
    let report = run(&mut session, &request(&[5, 6, 7], 4));
    assert!(matches!(report, Err(Error::Device(_))), "{report:?}");
    let host = Clock::new(usize::MAX);
    assert!(block_on(session.score(&[5, 6, 7], 64, &host)).is_err());
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
