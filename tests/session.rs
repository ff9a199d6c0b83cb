//! Sessions: what is kept between turns, what ends an answer, sampling, scores.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod clock;
mod folder;

use std::rc::Rc;

use clock::Clock;
use folder::folder;
use moebius_engine::chat::Finish;
use moebius_engine::device::Cpu;
use moebius_engine::model::{LoadOptions, Model};
use moebius_engine::session::{Next, Report, Request, Sampling, Session, Token};
use moebius_engine::source::Memory;
use moebius_engine::{Error, Result};
use moebius_tests::{ids, json};
use pollster::block_on;

fn model(source: &Memory, context: Option<usize>) -> Model {
    let options = LoadOptions { context, ..LoadOptions::default() };
    block_on(Model::load(source, Rc::new(Cpu), &options, &mut |_| {})).unwrap()
}

fn session(name: &str, context: usize) -> Session {
    block_on(Session::new(model(&folder(name), Some(context)))).unwrap()
}

fn request(prompt: &[u32], max_new: usize) -> Request<'_> {
    Request { prompt, sampling: Sampling::greedy(), max_new, stop_at_end: false, not_first: None, routing: false }
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
