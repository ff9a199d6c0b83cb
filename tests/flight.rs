//! Tokens in flight: whatever a device is ahead by, the answer is the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod adapter;
mod folder;

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use async_trait::async_trait;
use folder::folder;
use moebius_engine::device::{Cpu, Device};
use moebius_engine::format::Format;
use moebius_engine::model::{LoadOptions, Model};
use moebius_engine::session::{Host, Next, Request, Sampling, Session, Token};
use moebius_tests::{ids, json};
use pollster::block_on;

/// A clock that moves a millisecond a look: tokens seem fast, so that as many as may be are under way.
#[derive(Default)]
struct Hurry(Cell<f64>);

#[async_trait(?Send)]
impl Host for Hurry {
    fn now(&self) -> f64 {
        self.0.set(self.0.get() + 1.0);
        self.0.get()
    }

    async fn breathe(&self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn session_on(device: Rc<dyn Device>, name: &str, context: usize) -> Session {
    // f16 is the default on a GPU, and moves logits.
    let options = LoadOptions { context: Some(context), cache: Some(Format::F32), ..LoadOptions::default() };
    let model = block_on(Model::load(&folder(name), device, &options, &mut |_| {})).unwrap();
    block_on(Session::new(model)).unwrap()
}

fn generate(session: &mut Session, request: &Request<'_>, sink: &mut dyn FnMut(Token) -> Next) -> Vec<u32> {
    block_on(session.generate(request, &Hurry::default(), sink)).unwrap().tokens
}

#[test]
fn tokens_in_flight_change_nothing() {
    let scalar = in_flight(Rc::new(Cpu));
    let Some(gpu) = adapter::gpu("tokens_in_flight_change_nothing") else { return };
    assert_eq!(in_flight(Rc::new(gpu)), scalar, "the GPU makes other tokens than the CPU");
}

/// Answers greedy and sampled, with penalties, with tokens forced into them, and with what was taken back still in the cache.
fn in_flight(device: Rc<dyn Device>) -> Vec<Vec<u32>> {
    let mut session = session_on(device, "deepseek_v3_lite", 128);
    let prompt = ids(&json("deepseek_v3_lite/golden.json")["prompt"]);
    let mut penalised = Sampling { seed: Some(5), ..Sampling::default() };
    penalised.settings.temperature = 0.9;
    penalised.settings.repetition_penalty = 1.3;
    let mut outcomes = Vec::new();
    for ahead in [1, 2, 4] {
        session.most_ahead = ahead;
        let mut all = Vec::new();
        for sampling in [Sampling::greedy(), penalised] {
            let request =
                Request { prompt: &prompt, sampling, max_new: 24, stop_at_end: true, not_first: None, routing: false };
            all.push(generate(&mut session, &request, &mut |_| Next::Go));
            let mut count = 0;
            let mut sink = |_| {
                count += 1;
                if count == 5 { Next::Force(vec![7, 9, 7]) } else { Next::Go }
            };
            let forced = generate(&mut session, &request, &mut sink);
            assert_eq!(forced[5..8], [7, 9, 7]);
            all.push(forced);
            // A full context ends it at the same token.
            let endless = Request { max_new: 1000, stop_at_end: false, ..request };
            all.push(generate(&mut session, &endless, &mut |_| Next::Go));
        }
        outcomes.push(all);
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[0], outcomes[2]);
    outcomes.remove(0)
}
