//! Lost devices: the session is made again on another one, and the answer goes on with the tokens it would have had.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod adapter;
mod folder;

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::rc::Rc;

use async_trait::async_trait;
use folder::folder;
use moebius_engine::device::{Cpu, Device, Gpu};
use moebius_engine::model::{LoadOptions, Model};
use moebius_engine::session::{Host, Next, Recover, Report, Request, Sampling, Session, Token};
use moebius_engine::{Error, Result};
use moebius_tests::{ids, json};
use pollster::block_on;

const MODEL: &str = "deepseek_v3_lite";

async fn session_on(device: Rc<dyn Device>) -> Result<Session> {
    let options = LoadOptions { context: Some(128), ..LoadOptions::default() };
    Session::new(Model::load(&folder(MODEL), device, &options, &mut |_| {}).await?).await
}

/// Where sessions come from: new GPUs, of which the last is known, so that it can be lost.
#[derive(Default)]
struct Source {
    gpu: RefCell<Option<Rc<Gpu>>>,
    made: Cell<usize>,
    /// What the next session fails with.
    fails: RefCell<Option<Error>>,
    /// Whether there are no more GPUs.
    cpu: Cell<bool>,
}

impl Source {
    fn lose(&self) {
        self.gpu.borrow().as_ref().unwrap().destroy();
    }
}

#[async_trait(?Send)]
impl Recover for Source {
    async fn session(&self, lost: &Error) -> Result<Session> {
        assert_eq!(lost.code(), "device_lost");
        if let Some(error) = self.fails.take() {
            return Err(error);
        }
        self.made.set(self.made.get() + 1);
        if self.cpu.get() {
            return session_on(Rc::new(Cpu)).await;
        }
        let gpu = Rc::new(adapter::gpu("another one").unwrap());
        self.gpu.replace(Some(gpu.clone()));
        session_on(gpu).await
    }
}

/// A clock that moves a millisecond a look, so that as many tokens as may be are under way, and a device that is lost at
/// given breaths: those between chunks of a prompt, then those after each token.
struct Fate {
    source: Rc<Source>,
    now: Cell<f64>,
    breaths: Cell<usize>,
    losses: Vec<usize>,
}

impl Fate {
    fn new(source: &Rc<Source>, losses: &[usize]) -> Self {
        Fate { source: source.clone(), now: Cell::default(), breaths: Cell::default(), losses: losses.to_vec() }
    }
}

#[async_trait(?Send)]
impl Host for Fate {
    fn now(&self) -> f64 {
        self.now.set(self.now.get() + 1.0);
        self.now.get()
    }

    async fn breathe(&self) -> ControlFlow<()> {
        if self.losses.contains(&self.breaths.replace(self.breaths.get() + 1)) {
            self.source.lose();
        }
        ControlFlow::Continue(())
    }
}

/// A session on a GPU that is made again when that is lost; `None` where there is no GPU.
fn start(test: &str) -> Option<(Rc<Source>, Session)> {
    let source = Rc::new(Source::default());
    let gpu = Rc::new(adapter::gpu(test)?);
    source.gpu.replace(Some(gpu.clone()));
    let mut session = block_on(session_on(gpu)).unwrap();
    session.recovery = Some(source.clone());
    Some((source, session))
}

/// A prompt of two chunks.
fn prompt() -> Vec<u32> {
    let golden = ids(&json(&format!("{MODEL}/golden.json"))["prompt"]);
    golden.iter().cycle().take(70).copied().collect()
}

/// Greedy, and with everything on that remembers.
fn samplings() -> [Sampling; 2] {
    let mut penalised = Sampling { seed: Some(5), ..Sampling::default() };
    penalised.settings.temperature = 0.9;
    penalised.settings.repetition_penalty = 1.3;
    [Sampling::greedy(), penalised]
}

fn request(prompt: &[u32], sampling: Sampling) -> Request<'_> {
    Request { prompt, sampling, max_new: 24, stop_at_end: false, not_first: None, routing: false }
}

/// The answer, and what the sink was given. After `force.0` tokens come those of `force.1`.
fn run(
    session: &mut Session,
    request: &Request<'_>,
    fate: &Fate,
    force: (usize, &[u32]),
) -> (Result<Report>, Vec<u32>) {
    let mut given = Vec::new();
    let mut sink = |token: Token| {
        given.push(token.id);
        if given.len() == force.0 { Next::Force(force.1.to_vec()) } else { Next::Go }
    };
    (block_on(session.generate(request, fate, &mut sink)), given)
}

#[test]
fn the_same_tokens_follow_a_loss() {
    let Some((source, mut session)) = start("the_same_tokens_follow_a_loss") else { return };
    let prompt = prompt();
    let first = run(&mut session, &request(&prompt, samplings()[0]), &Fate::new(&source, &[]), (0, &[])).1[0];
    let mut made = 0;
    let [greedy, penalised] = samplings();
    let sampled = Request { not_first: Some(first), ..request(&prompt, penalised) };
    // Before the prompt is read, within it, after the first token, and before the last.
    for (request, losses) in [(request(&prompt, greedy), [0, 1, 2, 24].as_slice()), (sampled, &[1, 7])] {
        // After the fifth token, the first that was forced: two are to come.
        for (force, losses) in [((0, [].as_slice()), losses), ((4, &[7, 9, 7]), &[6])] {
            session.reset();
            let (want, _) = run(&mut session, &request, &Fate::new(&source, &[]), force);
            let want = want.unwrap();
            assert_eq!((want.tokens.len(), source.made.get()), (24, made));
            for &at in losses {
                session.reset();
                let (report, given) = run(&mut session, &request, &Fate::new(&source, &[at]), force);
                let report = report.unwrap();
                assert_eq!(report.tokens, want.tokens, "lost at breath {at}, {force:?}");
                assert_eq!(given, want.tokens, "lost at breath {at}: what the sink was given");
                assert_eq!(report.finish, want.finish);
                let (t, w) = (report.timings, want.timings);
                assert_eq!((t.cache_n, t.prompt_n, t.predicted_n), (0, w.prompt_n, w.predicted_n));
                let ms = [t.prompt_ms, t.predicted_ms];
                assert!(ms.iter().all(|ms| *ms > 0.0 && *ms < 100.0), "{ms:?}");
                made += 1;
                assert_eq!(source.made.get(), made, "sessions made again");
            }
        }
    }
}

#[test]
fn a_device_lost_between_answers_is_replaced_and_nothing_is_taken_as_kept() {
    let Some((source, mut session)) = start("a_device_lost_between_answers") else { return };
    let (prompt, [greedy, _]) = (prompt(), samplings());
    let want = run(&mut session, &request(&prompt, greedy), &Fate::new(&source, &[]), (0, &[])).0.unwrap();
    source.lose();
    let longer = [prompt.as_slice(), &want.tokens[..8]].concat();
    let report = run(&mut session, &request(&longer, greedy), &Fate::new(&source, &[]), (0, &[])).0.unwrap();
    assert_eq!(report.tokens[..16], want.tokens[8..]);
    assert_eq!((report.timings.cache_n, report.timings.prompt_n), (0, longer.len()));
}

#[test]
fn without_a_recovery_a_loss_is_an_error() {
    let Some((source, mut session)) = start("without_a_recovery_a_loss_is_an_error") else { return };
    let (prompt, [greedy, _]) = (prompt(), samplings());
    let want = run(&mut session, &request(&prompt, greedy), &Fate::new(&source, &[]), (0, &[])).1;
    session.reset();
    session.recovery = None;
    for breaths in [vec![5], vec![]] {
        let count = breaths.iter().map(|b| b - 1).sum::<usize>();
        let (lost, given) = run(&mut session, &request(&prompt, greedy), &Fate::new(&source, &breaths), (0, &[]));
        let lost = lost.unwrap_err();
        assert!(matches!(lost, Error::Lost(_)), "{lost:?}");
        assert_eq!((lost.code(), lost.to_string().as_str()), ("device_lost", "the device was lost: destroyed"));
        // Those in flight may have come.
        assert!((count..24).contains(&given.len()) && want.starts_with(&given), "{given:?}");
    }
    let logits = block_on(session.logits(&prompt, &Fate::new(&source, &[])));
    assert!(matches!(logits, Err(Error::Lost(_))), "{logits:?}");
}

#[test]
fn a_second_loss_is_an_error_and_the_next_request_begins_anew() {
    let Some((source, mut session)) = start("a_second_loss_is_an_error") else { return };
    let (prompt, [_, sampling]) = (prompt(), samplings());
    let want = run(&mut session, &request(&prompt, sampling), &Fate::new(&source, &[]), (0, &[])).1;
    session.reset();
    // Within the prompt, and some tokens later.
    let (lost, given) = run(&mut session, &request(&prompt, sampling), &Fate::new(&source, &[1, 9]), (0, &[]));
    assert!(matches!(lost, Err(Error::Lost(_))), "{lost:?}");
    assert!((5..24).contains(&given.len()) && want.starts_with(&given), "{given:?}");
    let again = run(&mut session, &request(&prompt, sampling), &Fate::new(&source, &[]), (0, &[])).1;
    assert_eq!((again, source.made.get()), (want, 2));
}

#[test]
fn a_recovery_that_fails_is_the_error_and_the_next_request_tries_again() {
    let Some((source, mut session)) = start("a_recovery_that_fails_is_the_error") else { return };
    let (prompt, [greedy, _]) = (prompt(), samplings());
    let want = run(&mut session, &request(&prompt, greedy), &Fate::new(&source, &[]), (0, &[])).1;
    let none = Error::Device("no GPU adapter".into());
    source.fails.replace(Some(none.clone()));
    source.lose();
    let (failed, given) = run(&mut session, &request(&prompt, greedy), &Fate::new(&source, &[]), (0, &[]));
    assert_eq!((failed, given), (Err(none), vec![]));
    assert_eq!(run(&mut session, &request(&prompt, greedy), &Fate::new(&source, &[]), (0, &[])).1, want);
}

#[test]
fn an_answer_goes_on_on_the_cpu() {
    let Some((source, mut session)) = start("an_answer_goes_on_on_the_cpu") else { return };
    let (prompt, [_, sampling]) = (prompt(), samplings());
    let want = run(&mut session, &request(&prompt, sampling), &Fate::new(&source, &[]), (0, &[])).1;
    session.reset();
    source.cpu.set(true);
    let (report, given) = run(&mut session, &request(&prompt, sampling), &Fate::new(&source, &[7]), (0, &[]));
    assert_eq!((report.unwrap().tokens, given), (want.clone(), want));
    assert_eq!((session.model.device.kind(), session.most_ahead), ("cpu", 1));
}

#[test]
fn logits_and_scores_are_the_same_after_a_loss() {
    let Some((source, mut session)) = start("logits_and_scores_are_the_same_after_a_loss") else { return };
    let prompt = prompt();
    let want = block_on(session.logits(&prompt, &Fate::new(&source, &[]))).unwrap();
    let scores = block_on(session.score(&prompt, 20, &Fate::new(&source, &[]))).unwrap();
    assert_eq!(scores.len(), prompt.len() - 4);
    // The second chunk is lost, then the third window.
    assert_eq!(block_on(session.logits(&prompt, &Fate::new(&source, &[1]))).unwrap(), want);
    assert_eq!(block_on(session.score(&prompt, 20, &Fate::new(&source, &[2]))).unwrap(), scores);
    assert_eq!(source.made.get(), 2);
}
