//! Every family against golden values of Hugging Face transformers, on every device, from files and from packs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod adapter;
mod folder;
mod packed;
mod page;
mod run;
mod table;
mod wide;

use std::rc::Rc;
use std::slice::from_ref;

use folder::folder;
use moebius_engine::device::{Cpu, Device, Simd};
use moebius_engine::format::Format;
use moebius_engine::kernel::Path;
use moebius_engine::model::{LoadOptions, Model, Progress, Stage};
use moebius_engine::source::Source;
use moebius_engine::weights::Precision;
use moebius_tests::{difference, floats, ids, json};
use packed::packed;
use run::{Run, divergence, nll};

/// Fixtures with a loader here.
const MODELS: [&str; 18] = [
    "qwen3",
    "qwen3_moe",
    "qwen3_moe_yarn",
    "deepseek_v2",
    "deepseek_v3",
    "deepseek_v3_fp8",
    "deepseek_v3_lite",
    "llama",
    "qwen2",
    "qwen2_moe",
    "mixtral",
    "olmoe",
    "granitemoe",
    "granitemoeshared",
    "phimoe",
    "gpt_oss",
    "lfm2_moe",
    "ernie4_5_moe",
];

/// Largest difference of a logit from transformers' in f32, in standard deviations of the logits: another order of
/// summation makes about 1e-5.
const LOGITS: f64 = 1e-3;

/// Tokens of context: the least that a fixture has.
const CONTEXT: usize = 128;

fn load(source: &dyn Source, device: Rc<dyn Device>, precision: Precision) -> Model {
    load_as(source, device, LoadOptions { precision, ..LoadOptions::default() })
}

fn load_as(source: &dyn Source, device: Rc<dyn Device>, options: LoadOptions) -> Model {
    // f16 is the default on a GPU, and moves logits.
    let cache = options.cache.or(Some(Format::F32));
    let options = LoadOptions { context: Some(CONTEXT), cache, ..options };
    pollster::block_on(Model::load(source, device, &options, &mut |_| {})).unwrap()
}

/// Compares logits and 32 greedy tokens; the largest differences of a logit.
fn greedy(name: &str, run: &mut Run, device: &Rc<dyn Device>) -> (f64, f64) {
    let golden = json(&format!("{name}/golden.json"));
    let prompt = ids(&golden["prompt"]);
    let logits = run.play(&prompt).pop().unwrap();
    let first = difference(&floats(&golden["logits"]), &logits);

    run.restart();
    let (tokens, logits) = run.greedy(&prompt, 32);
    assert_eq!(tokens, ids(&golden["greedy"]), "{name} on {}: greedy tokens", device.kind());
    let last = difference(&floats(&golden["logits_after_greedy"]), &logits);
    assert!(first <= LOGITS && last <= LOGITS, "{name}: logits differ by {first} and {last}");
    (first, last)
}

/// The same, and the likelihood of a text; the largest difference of a logit.
fn golden(name: &str, device: &Rc<dyn Device>, chunk: usize) -> f64 {
    let golden = json(&format!("{name}/golden.json"));
    let mut run = Run::new(load(&folder(name), device.clone(), Precision::Stored), chunk);
    let (first, last) = greedy(name, &mut run, device);

    run.restart();
    let text = ids(&golden["excerpt"]["ids"]);
    let ours = nll(&run.play(&text), &text);
    let theirs = floats(&golden["excerpt"]["nll"]);
    let likelihood = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!(
        "{name} on {}, chunks of {chunk}: {first:.1e} and {last:.1e} deviations, nll {likelihood:.1e}",
        device.kind()
    );
    assert!(likelihood <= 1e-3, "{name}: likelihoods differ by {likelihood}");
    first.max(last)
}

#[test]
fn the_cpu_agrees_with_transformers() {
    let cpu: Rc<dyn Device> = Rc::new(Cpu);
    for name in MODELS {
        golden(name, &cpu, 16);
    }
}

#[test]
fn every_path_of_the_cpu_agrees_with_transformers() {
    for device in paths() {
        println!("on {}", device.name());
        for name in MODELS {
            golden(name, &device, 16);
        }
    }
}

/// The CPU's device on each of its paths.
fn paths() -> Vec<Rc<dyn Device>> {
    Path::all().into_iter().map(|path| Rc::new(Simd::on(path)) as Rc<dyn Device>).collect()
}

/// The same tokens give the same logits, bit for bit, however many threads make them.
#[test]
fn threads_do_not_matter() {
    for name in ["qwen3_moe", "deepseek_v3", "granitemoeshared"] {
        let prompt = ids(&json(&format!("{name}/golden.json"))["prompt"]);
        let outcomes = [1, 2, 3].map(|threads| {
            let device = Rc::new(Simd::new().with_threads(threads));
            let mut run = Run::new(load(&folder(name), device, Precision::Q4), 16);
            let read = run.play(&prompt).concat();
            let (tokens, made) = run.greedy(&prompt[..1], 16);
            let bits: Vec<u32> = read.iter().chain(&made).map(|logit| logit.to_bits()).collect();
            (tokens, bits)
        });
        assert!(outcomes[0] == outcomes[1] && outcomes[0] == outcomes[2], "{name}");
    }
}

#[test]
fn the_gpu_agrees_with_transformers() {
    let Some(gpu) = adapter::gpu("the_gpu_agrees_with_transformers") else { return };
    let (cpu, gpu): (Rc<dyn Device>, Rc<dyn Device>) = (Rc::new(Cpu), Rc::new(gpu));
    let wide = |name: &'static str, device: &Rc<dyn Device>| {
        let mut run = Run::new(load(&wide::folder(name)?, device.clone(), Precision::Stored), 16);
        let (first, last) = greedy(name, &mut run, device);
        Some(first.max(last))
    };
    let row = |name| table::Row {
        name,
        cpu: golden(name, &cpu, 16),
        gpu: golden(name, &gpu, 16),
        wide: wide(name, &cpu).map(|apart| (apart, page::all().then(|| wide(name, &gpu)).flatten())),
    };
    table::check(MODELS.map(row).into());
}

/// A GPU of its own takes more of a prompt at once, and shares attention out: neither is to be seen in what it says.
#[test]
fn a_gpu_of_its_own_reads_longer_chunks() {
    let Some(mut gpu) = adapter::gpu("a_gpu_of_its_own_reads_longer_chunks") else { return };
    gpu.software = true;
    let before = gpu.limits().chunk;
    gpu.software = false;
    let chunk = gpu.limits().chunk.min(CONTEXT);
    assert!(chunk > before);
    let (cpu, gpu): (Rc<dyn Device>, Rc<dyn Device>) = (Rc::new(Cpu), Rc::new(gpu));
    for name in ["qwen3_moe", "deepseek_v3_lite"] {
        let text = ids(&json(&format!("{name}/golden.json"))["excerpt"]["ids"]);
        let text: Vec<u32> = text.iter().copied().cycle().take(chunk).collect();
        let last = |device: &Rc<dyn Device>, chunk| {
            let mut run = Run::new(load(&folder(name), device.clone(), Precision::Stored), chunk);
            run.play(&text).pop().unwrap()
        };
        let want: Vec<f64> = last(&cpu, 16).into_iter().map(f64::from).collect();
        let apart = difference(&want, &last(&gpu, chunk));
        println!("{name}: {apart:.1e} deviations in chunks of {chunk}");
        assert!(apart <= LOGITS, "{name}: {apart}");
    }
}

/// What keys and values in f16 may change: they are rounded to 11 bits.
const CACHE: f64 = 2e-2;

#[test]
fn a_cache_in_f16_loses_little() {
    let mut devices: Vec<Rc<dyn Device>> = vec![Rc::new(Cpu)];
    devices.extend(paths().into_iter().take(1));
    devices.extend(adapter::gpu("a_cache_in_f16_loses_little").map(|gpu| Rc::new(gpu) as Rc<dyn Device>));
    for (device, name) in devices.iter().flat_map(|device| ["qwen3_moe", "deepseek_v3"].map(|name| (device, name))) {
        let prompt = ids(&json(&format!("{name}/golden.json"))["prompt"]);
        let run = |cache| {
            let options = LoadOptions { cache: Some(cache), ..LoadOptions::default() };
            let mut run = Run::new(load_as(&folder(name), device.clone(), options), 16);
            assert_eq!(run.cache.format, cache, "{name}");
            run.play(&prompt).concat()
        };
        let (whole, halves) = (run(Format::F32), run(Format::F16));
        let whole: Vec<f64> = whole.iter().map(|v| f64::from(*v)).collect();
        let lost = difference(&whole, &halves);
        println!("{name} with its cache in f16 on {}: {lost:.1e} deviations", device.name());
        assert!(lost > 0.0 && lost < CACHE, "{name} on {}: {lost}", device.name());
    }
}

/// The same tokens in chunks of any size give the same logits: a prompt may be cut anywhere. That holds for vectors too: how
/// many inputs a row meets at once does not change the order of any sum.
#[test]
fn chunks_do_not_matter() {
    let scalar: Rc<dyn Device> = Rc::new(Cpu);
    for (cpu, name) in [vec![scalar], paths()].concat().iter().flat_map(|cpu| MODELS.map(|name| (cpu, name))) {
        let prompt = ids(&json(&format!("{name}/golden.json"))["prompt"]);
        let mut model = load(&folder(name), cpu.clone(), Precision::Stored);
        let mut outcomes = Vec::new();
        for chunk in [1, 3, 7, 40] {
            let mut run = Run::new(model, chunk);
            outcomes.push(run.play(&prompt));
            model = run.model;
        }
        for other in &outcomes[1..] {
            assert_eq!(&outcomes[0], other, "{name} on {}: arithmetic does not depend on chunks", cpu.name());
        }
    }
}

/// What each precision may lose, as the mean divergence from the stored weights in nats, and as a factor of perplexity, then how
/// many positions may be rerouted.
/// These models have random weights and next-token distributions far sharper than trained ones, so that both bounds are
/// far above what a real model loses; they are there to notice a broken scale, nibble or record.
const LOSSES: [(Precision, f64, f64, usize); 6] = [
    (Precision::F16, 1e-4, 1.01, 1),
    (Precision::Q8, 2e-2, 1.1, 1),
    (Precision::Q4, 0.3, 1.25, 1),
    (Precision::Q4All, 4.0, 2.0, 12),
    (Precision::Fp8, 0.8, 1.25, 1),
    (Precision::Mxfp4, 0.5, 1.25, 1),
];

/// Divergence at a position, in nats, that only another group of experts makes. The smallest change may do it where two groups
/// are as good: at one position of a text it is let pass, or twelve where attention is int4 too.
const REROUTED: f64 = 5.0;

#[test]
fn packs_lose_little_and_equal_quantising_at_load() {
    let cpu: Rc<dyn Device> = Rc::new(Cpu);
    for name in MODELS {
        let text = ids(&json(&format!("{name}/golden.json"))["excerpt"]["ids"]);
        let logits = |model| Run::new(model, 32).play(&text);
        let truth = logits(load(&folder(name), cpu.clone(), Precision::Stored));
        for (precision, most, factor, passed) in LOSSES {
            let at_load = logits(load(&folder(name), cpu.clone(), precision));
            let (pack, manifest) = packed(&folder(name), precision);
            assert_eq!(manifest.precision, precision.name());
            let from_pack = logits(load(&pack, cpu.clone(), Precision::Stored));
            assert_eq!(at_load, from_pack, "{name}: a pack holds what quantising at load gives");

            let apart: Vec<f64> =
                truth.iter().zip(&from_pack).map(|(a, b)| divergence(from_ref(a), from_ref(b))).collect();
            let mean = |values: &[f64]| {
                let kept: Vec<f64> =
                    values.iter().zip(&apart).filter(|(_, a)| **a <= REROUTED).map(|(v, _)| *v).collect();
                kept.iter().sum::<f64>() / kept.len() as f64
            };
            let (lost, rerouted) = (mean(&apart), apart.iter().filter(|a| **a > REROUTED).count());
            let grown = (mean(&nll(&from_pack, &text)) - mean(&nll(&truth, &text))).exp();
            println!(
                "{name} as {}: divergence {lost:.2e} nats, perplexity x {grown:.4}, {rerouted} positions rerouted",
                precision.name()
            );
            assert!(rerouted <= passed, "{name} as {}: {rerouted}", precision.name());
            assert!(lost >= 0.0 && lost <= most, "{name} as {}: {lost}", precision.name());
            assert!(grown <= factor && grown >= 1.0 / factor, "{name} as {}: x {grown}", precision.name());
        }
        let (pack, _) = packed(&folder(name), Precision::Stored);
        let same = logits(load(&pack, cpu.clone(), Precision::Stored));
        assert_eq!(truth, same, "{name}: packing at the stored precision changes nothing");
    }
}

/// Those whose packs differ in kind: in the shapes of their matrices, or in how their experts are cut out of files.
const PACKED: [&str; 6] =
    ["qwen3", "qwen3_moe_yarn", "deepseek_v3", "deepseek_v3_fp8", "deepseek_v3_lite", "qwen2_moe"];

#[test]
fn the_gpu_reads_packs() {
    let Some(gpu) = adapter::gpu("the_gpu_reads_packs") else { return };
    let (cpu, gpu): (Rc<dyn Device>, Rc<dyn Device>) = (Rc::new(Cpu), Rc::new(gpu));
    for name in PACKED {
        let text = ids(&json(&format!("{name}/golden.json"))["excerpt"]["ids"]);
        for precision in [Precision::Q8, Precision::Q4, Precision::Q4All, Precision::Fp8, Precision::Mxfp4] {
            let (pack, _) = packed(&folder(name), precision);
            let run =
                |device: &Rc<dyn Device>| Run::new(load(&pack, device.clone(), Precision::Stored), 32).play(&text);
            let apart = divergence(&run(&cpu), &run(&gpu));
            println!("{name} as {}: {apart:.1e} nats between CPU and GPU", precision.name());
            assert!(apart.abs() <= 1e-6, "{name} as {}: {apart}", precision.name());
        }
    }
}

/// Largest mean divergence, in nats, of the CPU's paths from scalar arithmetic on the same weights: what rounding the inputs of
/// products to 16 bits may lose. Rounded to eight bits, as other engines have them, it is ten thousand times as much.
const ROUNDED: f64 = 1e-6;

#[test]
fn every_path_of_the_cpu_loses_next_to_nothing_in_packs() {
    let scalar: Rc<dyn Device> = Rc::new(Cpu);
    for (name, (precision, ..)) in PACKED.into_iter().flat_map(|name| LOSSES.map(|loss| (name, loss))) {
        let text = ids(&json(&format!("{name}/golden.json"))["excerpt"]["ids"]);
        let (pack, _) = packed(&folder(name), precision);
        let run = |device: &Rc<dyn Device>| Run::new(load(&pack, device.clone(), Precision::Stored), 32).play(&text);
        let truth = run(&scalar);
        let perplexity = |logits: &[Vec<f32>]| (nll(logits, &text).iter().sum::<f64>() / (text.len() - 1) as f64).exp();
        for device in paths() {
            let logits = run(&device);
            let (lost, grown) = (divergence(&truth, &logits), perplexity(&logits) / perplexity(&truth) - 1.0);
            let (path, what) = (device.name(), precision.name());
            println!("{name} as {what} on {path}: {lost:.1e} nats from scalar, perplexity {grown:+.1e}");
            assert!(lost.abs() <= ROUNDED, "{name} as {what} on {path}: {lost}");
        }
    }
}

/// Progress only grows, ends at its total, and comes to the experts last where there are any.
#[test]
fn progress_ends_at_its_total() {
    for name in MODELS {
        let mut seen: Vec<Progress> = Vec::new();
        let (source, options) = (folder(name), LoadOptions::default());
        let mut see = |p| seen.push(p);
        pollster::block_on(Model::load(&source, Rc::new(Cpu), &options, &mut see)).unwrap();
        assert!(seen.windows(2).all(|w| w[0].done < w[1].done && w[0].total == w[1].total), "{name}");
        let last = seen.last().unwrap();
        assert_eq!(last.done, last.total, "{name}");
        let experts = seen.iter().position(|p| p.stage == Stage::Experts);
        let dense = ["qwen3", "llama", "qwen2"].contains(&name);
        assert_eq!(experts.is_none(), dense, "{name}: those without experts");
        let first = experts.unwrap_or(seen.len());
        assert!(first > 0 && seen[first..].iter().all(|p| p.stage == Stage::Experts), "{name}");
    }
}

#[test]
fn end_tokens_come_from_both_files() {
    let model = load(&folder("deepseek_v3_lite"), Rc::new(Cpu), Precision::Stored);
    let stopped = ids(&json("deepseek_v3_lite/golden.json")["stopped"]);
    assert_eq!(model.spec.eos, [1, stopped[stopped.len() - 1]], "config.json, then generation_config.json");
}

/// Columns that are not whole blocks stay f16, and the loaded model says which.
#[test]
fn odd_columns_fall_back_visibly() {
    let cpu: Rc<dyn Device> = Rc::new(Cpu);
    let model = load(&folder("qwen3_moe_yarn"), cpu, Precision::Q8);
    let names: Vec<_> = model.fallbacks.iter().map(|f| f.tensor.as_str()).collect();
    let layers = 0..model.spec.layers.len();
    let expected: Vec<_> = layers.map(|i| format!("model.layers.{i}.self_attn.o_proj.weight")).collect();
    assert_eq!(names, expected, "o_proj has 3 heads of 40: 120 columns");
    assert!(model.fallbacks.iter().all(|f| f.cols == 120));
}
