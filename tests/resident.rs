//! Experts that come as they are needed: whatever is on the device when a token is asked for, and however few fit, the answer
//! is that of the whole model, to the bit.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod adapter;
mod clock;
mod folder;
mod late;
mod packed;
#[expect(dead_code, reason = "greedy decoding and likelihoods are for golden values")]
mod run;

use std::cmp::Reverse;
use std::path::Path;
use std::rc::Rc;

use async_trait::async_trait;
use clock::Clock;
use folder::folder;
use futures_util::future::{Either, select};
use late::Late;
use moebius_engine::device::{Buffer, Cpu, Device, Limits, Plan, Reading, Simd, Step};
use moebius_engine::model::{Counts, Ffn, LoadOptions, Model, Moe, Progress, Room, Stage};
use moebius_engine::session::{Next, Request, Sampling, Session, Token, Tokenizer};
use moebius_engine::source::Memory;
use moebius_engine::weights::{Manifest, Precision};
use moebius_engine::{Error, Result};
use moebius_tests::{bytes, ids, json};
use packed::{packed, packed_by};
use pollster::block_on;
use run::Run;

/// Every family with experts.
const MODELS: [&str; 14] = [
    "deepseek_v2",
    "deepseek_v3",
    "deepseek_v3_fp8",
    "deepseek_v3_lite",
    "ernie4_5_moe",
    "gpt_oss",
    "granitemoe",
    "granitemoeshared",
    "lfm2_moe",
    "mixtral",
    "olmoe",
    "phimoe",
    "qwen2_moe",
    "qwen3_moe",
];

const CONTEXT: usize = 96;

fn options() -> LoadOptions {
    LoadOptions { context: Some(CONTEXT), ..LoadOptions::default() }
}

fn whole(files: &Memory, device: &Rc<dyn Device>) -> Session {
    block_on(Session::load(files, device.clone(), &options(), &mut |_| {})).unwrap()
}

fn stream(source: Rc<Late>, device: &Rc<dyn Device>, room: Room) -> Result<Session> {
    let mut last = None;
    let session = block_on(Session::stream(source, device.clone(), &options(), room, &mut |p| last = Some(p)))?;
    let last = last.unwrap();
    assert_eq!((last.stage, last.done), (Stage::Trunk, last.total), "all that is waited for is told");
    Ok(session)
}

/// Bits of logits, tokens of several answers, and what experts were chosen for some.
type Answers = (Vec<u32>, Vec<Vec<u32>>, Vec<Vec<Vec<u32>>>);

/// What a session makes of a prompt: logits, tokens one after another, drawn ones, and a second turn over what is kept, whose
/// experts are asked for.
async fn answers(session: &mut Session, prompt: &[u32]) -> Result<Answers> {
    let host = Clock::new(usize::MAX);
    let logits = session.logits(prompt, &host).await?;
    let mut drawn = Sampling { seed: Some(3), ..Sampling::default() };
    drawn.settings.repetition_penalty = 1.2;
    let (mut all, mut experts) = (Vec::new(), Vec::new());
    for sampling in [Sampling::greedy(), drawn] {
        let mut count = 0;
        let mut sink = |token: Token| {
            assert!(token.experts.is_empty(), "not asked for");
            count += 1;
            if count == 4 { Next::Force(vec![3, 1]) } else { Next::Go }
        };
        let request = Request { prompt, sampling, max_new: 12, stop_at_end: false, not_first: None, routing: false };
        let first = session.generate(&request, &host, &mut sink).await?.tokens;
        let longer = [prompt, &first, &[7, 8, 9]].concat();
        let request = Request { prompt: &longer, max_new: 6, routing: true, ..request };
        all.push(first);
        let mut sink = |token: Token| {
            experts.push(token.experts);
            Next::Go
        };
        all.push(session.generate(&request, &host, &mut sink).await?.tokens);
    }
    Ok((logits.iter().map(|v| v.to_bits()).collect(), all, experts))
}

/// Experts that are on the device, and those that tokens chose.
fn there(session: &Session) -> u64 {
    session.model.residency.as_ref().unwrap().map().there.iter().filter(|there| **there).count() as u64
}

fn used(session: &Session) -> u64 {
    session.model.residency.as_ref().unwrap().map().uses.iter().filter(|uses| **uses > 0).count() as u64
}

fn counts(session: &Session) -> Counts {
    session.model.residency.as_ref().unwrap().counts()
}

/// Compares a model that is whole with one that has a room, whose experts come only when they are wanted.
fn compare(name: &str, files: &Rc<Memory>, device: &Rc<dyn Device>, prompt: &[u32]) {
    let want = block_on(answers(&mut whole(files, device), prompt)).unwrap();
    let mut missed = Vec::new();
    for room in [Room::All, Room::Share(0.5), Room::Share(0.0)] {
        let mut session = stream(Rc::new(Late::new(files.clone(), 1, 3)), device, room).unwrap();
        let got = block_on(answers(&mut session, prompt)).unwrap();
        assert_eq!(got, want, "{name} on {} with {room:?}", device.name());
        let Counts { wanted, missed: not, .. } = counts(&session);
        assert!(not > 0 && not <= wanted, "{name}: {not} of {wanted}");
        missed.push(not);
        print!(" {:.0} %", 100.0 - 100.0 * not as f64 / wanted as f64);
    }
    assert!(missed.is_sorted(), "{name}: fewer slots, fewer misses? {missed:?}");
    println!(" hits in all, half and least room: {name} on {}", device.name());
}

fn prompt(name: &str) -> Vec<u32> {
    ids(&json(&format!("{name}/golden.json"))["prompt"])
}

#[test]
fn any_room_gives_the_same_on_the_cpu() {
    for device in [Rc::new(Cpu) as Rc<dyn Device>, Rc::new(Simd::new()), Rc::new(Simd::new().with_threads(2))] {
        for name in MODELS {
            compare(name, &Rc::new(folder(name)), &device, &prompt(name));
        }
    }
}

#[test]
fn any_room_gives_the_same_on_the_gpu() {
    let Some(gpu) = adapter::gpu("any_room_gives_the_same_on_the_gpu") else { return };
    let gpu: Rc<dyn Device> = Rc::new(gpu);
    for name in ["deepseek_v3_lite", "phimoe"] {
        let (pack, _) = packed(&folder(name), Precision::Q4);
        compare(name, &Rc::new(pack), &gpu, &prompt(name));
    }
}

/// Experts come in an order that reads make by chance, while tokens are asked for.
#[test]
fn it_answers_while_experts_arrive_in_any_order() {
    let device: Rc<dyn Device> = Rc::new(Simd::new());
    let files = Rc::new(packed(&folder("deepseek_v3_lite"), Precision::Q8).0);
    let prompt = prompt("deepseek_v3_lite");
    let want = block_on(answers(&mut whole(&files, &device), &prompt)).unwrap();
    for seed in 0..40 {
        let room = if seed % 2 == 0 { Room::All } else { Room::Share(0.7) };
        let mut session = stream(Rc::new(Late::new(files.clone(), seed, 30)), &device, room).unwrap();
        let residency = session.model.residency.clone().unwrap();
        let mut progress = |p: Progress| assert!(p.done <= p.total);
        let filling = Box::pin(residency.fill(&mut progress));
        let got = match block_on(select(Box::pin(answers(&mut session, &prompt)), filling)) {
            Either::Left((got, _)) => got,
            Either::Right((filled, answering)) => {
                filled.unwrap();
                block_on(answering)
            }
        };
        assert_eq!(got.unwrap(), want, "{seed}");
        block_on(residency.fill(&mut |_| {})).unwrap();
        assert_eq!(residency.whole(), room == Room::All, "{seed}");
        let before = counts(&session);
        assert_eq!(block_on(answers(&mut session, &prompt)).unwrap(), want, "{seed}: filled");
        if room == Room::All {
            assert_eq!(counts(&session), before, "nobody asks where all is there");
        }
    }
}

/// What a first answer takes of the files is what every token reads, and the experts that it has.
#[test]
fn only_what_is_wanted_is_fetched() {
    let device: Rc<dyn Device> = Rc::new(Simd::new());
    let files = Rc::new(packed(&folder("qwen3_moe"), Precision::Q8).0);
    let late = Rc::new(Late::new(files, 1, 0));
    let mut session = stream(late.clone(), &device, Room::All).unwrap();
    let trunk = late.bytes();
    assert_eq!(counts(&session).fetched, 0);
    block_on(session.logits(&[5, 6], &Clock::new(usize::MAX))).unwrap();
    let Counts { fetched, .. } = counts(&session);
    let each = session.model.weights.layers.iter().find_map(|layer| match &layer.ffn {
        moebius_engine::model::FfnWeights::Moe { experts, .. } => Some(experts.layout.bytes()),
        moebius_engine::model::FfnWeights::Dense(_) => None,
    });
    let (there, used) = (there(&session), used(&session));
    assert_eq!(fetched, there * each.unwrap());
    assert!(used <= there && there <= used + used / 4, "{there} of {used}: what two tokens were thought to want, too");
    assert_eq!(late.bytes() - trunk, fetched, "a record is read alone");
}

#[test]
fn too_little_room_is_an_error_with_figures() {
    let device: Rc<dyn Device> = Rc::new(Simd::new());
    let files = Rc::new(folder("qwen3_moe"));
    let error = stream(Rc::new(Late::new(files.clone(), 1, 0)), &device, Room::Bytes(1000)).err().unwrap();
    let Error::Limit { value, limit: 1000, .. } = error else { panic!("{error}") };
    let session = stream(Rc::new(Late::new(files, 1, 0)), &device, Room::Bytes(value)).unwrap();
    assert!(!session.model.whole());
}

/// A CPU that would have it that tokens are played ahead, as a GPU is.
struct Ahead(Simd);

#[async_trait(?Send)]
impl Device for Ahead {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn name(&self) -> String {
        "a CPU that is played ahead".into()
    }

    fn limits(&self) -> Limits {
        Limits { ahead: 4, ..self.0.limits() }
    }

    fn buffer(&self, label: &str, bytes: u64) -> Result<Buffer> {
        self.0.buffer(label, bytes)
    }

    fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) -> Result<()> {
        self.0.write(buffer, offset, data)
    }

    fn begin_read(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Reading> {
        self.0.begin_read(buffer, offset, bytes)
    }

    async fn compile_untested(&self, steps: Vec<Step>) -> Result<Plan> {
        self.0.compile_untested(steps).await
    }

    fn play(&self, plans: &[(&Plan, u32)]) -> Result<()> {
        self.0.play(plans)
    }
}

/// Whole tokens as if nothing were missing, and again from where something was.
#[test]
fn tokens_are_played_again_from_the_first_miss() {
    let device: Rc<dyn Device> = Rc::new(Ahead(Simd::new()));
    for name in MODELS {
        compare(name, &Rc::new(folder(name)), &device, &prompt(name));
    }
}

/// What a text's routes say of a room is what a device with that room counts; and they are the same whatever the room.
#[test]
fn routes_foretell_hits() {
    let device: Rc<dyn Device> = Rc::new(Simd::new());
    let host = Clock::new(usize::MAX);
    for name in ["deepseek_v3", "qwen3_moe"] {
        let files = Rc::new(folder(name));
        let text = ids(&json(&format!("{name}/golden.json"))["excerpt"]["ids"]);
        // The last token of a window predicts nothing that is asked.
        let (text, played) = (&text[..text.len().min(CONTEXT)], text.len().min(CONTEXT) - 1);
        let open = |room| stream(Rc::new(Late::new(files.clone(), 1, 0)), &device, room).unwrap();
        let routes = block_on(open(Room::All).routes(text, CONTEXT, &host)).unwrap();
        assert_eq!(block_on(open(Room::Share(0.0)).routes(text, CONTEXT, &host)).unwrap().heat(), routes.heat());
        for room in [Room::Share(0.0), Room::Share(0.5), Room::Share(0.9)] {
            let source = Rc::new(Late::new(files.clone(), 1, 0));
            let (model, pending) =
                block_on(Model::stream(source, device.clone(), &options(), room, &mut |_| {})).unwrap();
            block_on(pending.load(&mut |_| {})).unwrap();
            let residency = model.residency.clone().unwrap();
            let mut run = Run::new(model, 1);
            run.play(&text[..played]);
            let Counts { wanted, missed, .. } = residency.counts();
            let hits = 1.0 - missed as f64 / wanted as f64;
            println!("{name}: {:.1} % of {wanted} in {room:?}", 100.0 * hits);
            assert_eq!(routes.hits(room), Some(hits), "{name} {room:?}");
        }
        for (layer, heat) in routes.heat() {
            let moe = run_moe(&open(Room::All));
            let sum: u64 = heat.iter().sum();
            assert_eq!(sum, (played * (moe.chosen + moe.shared)) as u64, "{name}: {layer}");
        }
    }
}

fn run_moe(session: &Session) -> Moe {
    let moe = session.model.spec.layers.iter().find_map(|layer| match &layer.ffn {
        Ffn::Moe(moe) => Some(moe.clone()),
        Ffn::Dense(_) => None,
    });
    moe.unwrap()
}

/// The experts that are told with tokens are those that a count of a text's routes has for the same positions, and all uses are
/// counted once, whether experts are missing or not.
#[test]
fn tokens_tell_their_experts() {
    let host = Clock::new(usize::MAX);
    for device in [Rc::new(Simd::new()) as Rc<dyn Device>, Rc::new(Ahead(Simd::new()))] {
        for name in ["deepseek_v3_lite", "qwen3_moe", "granitemoeshared"] {
            let files = Rc::new(folder(name));
            let prompt = prompt(name);
            let open = |room| stream(Rc::new(Late::new(files.clone(), 1, 0)), &device, room).unwrap();
            for filled in [false, true] {
                let mut session = open(if filled { Room::All } else { Room::Share(0.5) });
                let residency = session.model.residency.clone().unwrap();
                if filled {
                    block_on(residency.fill(&mut |_| {})).unwrap();
                }
                assert_eq!((residency.whole(), residency.filled()), (filled, filled));
                let mut told = Vec::new();
                let mut sink = |token: Token| {
                    told.push(token.experts);
                    Next::Go
                };
                let sampling = Sampling::greedy();
                let request = Request {
                    prompt: &prompt,
                    sampling,
                    max_new: 9,
                    stop_at_end: false,
                    not_first: None,
                    routing: true,
                };
                let tokens = block_on(session.generate(&request, &host, &mut sink)).unwrap().tokens;

                // The passes that tokens were drawn from: of the prompt's last token, and of each of theirs but the last.
                let text = [prompt.as_slice(), &tokens].concat();
                let routes = |tokens: &[u32]| block_on(open(Room::All).routes(tokens, CONTEXT, &host)).unwrap().heat();
                let (all, before) = (routes(&text), routes(&prompt));
                let map = residency.map();
                for (layer, (name, heat)) in all.iter().enumerate() {
                    for (expert, heat) in heat.iter().enumerate().take(map.experts) {
                        let with_tokens = told.iter().filter(|of| of[layer].contains(&(expert as u32))).count() as u64;
                        assert_eq!(with_tokens, heat - before[name][expert], "{name}.{expert}");
                        // In the last layer a prompt's last token alone chooses.
                        let uses = if filled || layer + 1 == all.len() { with_tokens } else { *heat };
                        assert_eq!(u64::from(map.uses[layer * map.experts + expert]), uses, "{name}.{expert}: uses");
                    }
                }
                assert_eq!(map.there.iter().all(|there| *there), filled);
                let moe = run_moe(&session);
                assert_eq!((map.experts, map.active), (moe.experts, moe.chosen));
            }
        }
    }
}

/// Experts come in order of heat, one range each.
#[test]
fn the_hottest_come_first() {
    let device: Rc<dyn Device> = Rc::new(Simd::new());
    let files = folder("deepseek_v3_lite");
    let text = ids(&json("deepseek_v3_lite/golden.json")["excerpt"]["ids"]);
    let source = Rc::new(Late::new(Rc::new(folder("deepseek_v3_lite")), 1, 0));
    let mut session = stream(source, &device, Room::All).unwrap();
    let heat = block_on(session.routes(&text, CONTEXT, &Clock::new(usize::MAX))).unwrap().heat();
    let (pack, manifest) = packed_by(&files, Precision::Q8, &heat);
    let mut records = Vec::new();
    for (layer, table) in &manifest.experts {
        assert_eq!(table.heat, heat[layer]);
        records.extend(table.records.iter().copied().zip(table.heat.iter().copied()));
    }
    records.sort_unstable();
    assert!(records.is_sorted_by_key(|(_, heat)| Reverse(*heat)), "{records:?}");
    assert!(records.first().unwrap().1 > records.last().unwrap().1);

    // As they lie there, so they are fetched.
    let (again, same) = packed_by(&pack, Precision::Stored, &heat);
    drop(again);
    assert!(same == manifest, "a pack is packed again as it is");
    let late = Rc::new(Late::new(Rc::new(pack), 1, 0));
    let session = stream(late.clone(), &device, Room::All).unwrap();
    late.log.borrow_mut().clear();
    block_on(session.model.residency.as_ref().unwrap().fill(&mut |_| {})).unwrap();
    let log = late.log.borrow();
    let at = |file: &str| manifest.shards.iter().position(|shard| shard.name == file).unwrap();
    let places: Vec<_> = log.iter().map(|(file, range)| (at(file), range.start)).collect();
    assert!(places.len() > 4 && places.is_sorted(), "{places:?}");
}

/// Whichever read fails, that is an error that names the file; and who asks again has the right answer.
#[test]
fn any_read_may_fail() {
    let files = Rc::new(packed(&folder("lfm2_moe"), Precision::Q8).0);
    for device in [Rc::new(Simd::new()) as Rc<dyn Device>, Rc::new(Ahead(Simd::new()))] {
        let prompt = prompt("lfm2_moe");
        let want = block_on(answers(&mut whole(&files, &device), &prompt)).unwrap();
        let (mut failed, mut late_ones, mut unseen) = (0, 0, 0);
        for n in 0.. {
            let late = Rc::new(Late::new(files.clone(), 1, 0));
            late.fails.set(Some(n));
            let mut session = match stream(late.clone(), &device, Room::Share(0.3)) {
                Ok(session) => session,
                Err(error) => {
                    assert!(matches!(error, Error::File { .. }), "{error}");
                    failed += 1;
                    continue;
                }
            };
            match block_on(answers(&mut session, &prompt)) {
                // What nobody waits for may fail, too, and is asked for again by who does.
                Ok(got) => {
                    assert_eq!(got, want, "{n}");
                    if late.fails.get().is_some() {
                        break;
                    }
                    unseen += 1;
                    continue;
                }
                Err(error) => {
                    assert!(matches!(error, Error::File { .. }), "{error}");
                    late_ones += 1;
                }
            }
            assert_eq!(block_on(answers(&mut session, &prompt)).unwrap(), want, "{n}: again");
        }
        println!("{failed} reads failed at load, {late_ones} later, {unseen} unseen");
        assert!(failed > 3 && late_ones > 20 && (unseen > 20) == (device.limits().ahead == 1));
    }
}

/// What the first token takes of the default model, or of the pack in `MOEBIUS_MODEL`: what every token reads, and the experts that its
/// prompt has. Prints the shares.
#[test]
fn a_first_token_takes_what_it_touches() {
    let device: Rc<dyn Device> = Rc::new(Simd::new());
    let other = std::env::var_os("MOEBIUS_MODEL");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let model = model.join(other.as_deref().unwrap_or("www/model".as_ref()));
    let files = Rc::new(folder::read(&model));
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(model.join("moebius.json")).unwrap()).unwrap();
    let manifests = std::fs::metadata(model.join("moebius.json")).unwrap().len();
    let whole = manifests + manifest.files.iter().chain(&manifest.shards).map(|file| file.bytes).sum::<u64>();
    let text = String::from_utf8(bytes("heldout.txt")).unwrap();
    let mut ids = Vec::new();
    println!("prompt   median of the model   least   most   over what is touched, at most");
    for length in [8, 32, 128] {
        let (mut shares, mut over) = (Vec::new(), 0.0_f64);
        for n in 0..20 {
            let late = Rc::new(Late::new(files.clone(), 1, 0));
            let (options, source) = (LoadOptions::default(), late.clone());
            let mut progress = |_| {};
            let session = Session::stream(source, device.clone(), &options, Room::All, &mut progress);
            let mut session = block_on(session).unwrap();
            if other.is_some() {
                // Weights by lot know no text: ids over the whole vocabulary.
                ids = (0..4200).map(|i| (i * 7919 % session.model.spec.vocab) as u32).collect();
            } else if ids.is_empty() {
                let tokenizer = std::fs::read(model.join("tokenizer.json")).unwrap();
                ids = Tokenizer::new(&tokenizer).unwrap().encode(&text).unwrap();
            }
            let (trunk, before) = (late.bytes(), counts(&session));
            let prompt = &ids[n * 200..][..length];
            let request = Request {
                prompt,
                sampling: Sampling::greedy(),
                max_new: 1,
                stop_at_end: false,
                not_first: None,
                routing: false,
            };
            block_on(session.generate(&request, &Clock::new(usize::MAX), &mut |_| Next::Go)).unwrap();
            // Every token has each layer's shared experts.
            let map = session.model.residency.as_ref().unwrap().map();
            let shared: usize = manifest.experts.values().map(|table| table.records.len() - map.experts).sum();
            let bytes = manifest.experts.values().next().unwrap().layout().unwrap().bytes();
            let touched = (used(&session) + shared as u64) * bytes;
            assert_eq!(before.missed, 0);
            shares.push(late.bytes() as f64 / whole as f64);
            over = over.max(late.bytes() as f64 / (trunk + touched) as f64);
        }
        shares.sort_by(f64::total_cmp);
        let [low, middle, high] = [shares[0], shares[10], shares[19]].map(|share| 100.0 * share);
        println!("{length:6} {middle:17.1} % {low:8.1} % {high:4.1} % {over:20.4}");
        assert!(over <= 1.02);
    }
}
