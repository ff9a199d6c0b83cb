//! Models whose weights no one buffer of the device can have: matrices in slabs of rows, records of experts in shares. The answers are
//! those of the whole model, to the bit.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod adapter;
mod folder;
mod narrow;
mod packed;
#[expect(dead_code, reason = "likelihoods are for golden values")]
mod run;

use std::rc::Rc;

use folder::folder;
use moebius_engine::device::{Cpu, Device, Simd};
use moebius_engine::format::Format;
use moebius_engine::model::{FfnWeights, LoadOptions, Model, Room};
use moebius_engine::source::{Memory, Source};
use moebius_engine::weights::Precision;
use moebius_engine::{Error, Result};
use moebius_tests::{ids, json};
use narrow::Narrow;
use packed::packed;
use run::Run;

/// One of each kind: gated MLPs, biases in records, latent attention, shared experts, fp8, records of one matrix by turns.
const MODELS: [&str; 7] =
    ["qwen3", "qwen3_moe", "deepseek_v3_fp8", "deepseek_v3_lite", "gpt_oss", "qwen2_moe", "ernie4_5_moe"];

const CONTEXT: usize = 64;

fn load(source: &dyn Source, device: &Rc<dyn Device>, precision: Precision) -> Result<Model> {
    let options = LoadOptions { precision, context: Some(CONTEXT), cache: Some(Format::F32) };
    pollster::block_on(Model::load(source, device.clone(), &options, &mut |_| {}))
}

/// The same with experts that come when they are wanted, to room for half of them.
fn stream(pack: &Rc<Memory>, device: &Rc<dyn Device>) -> Model {
    let options = LoadOptions { context: Some(CONTEXT), cache: Some(Format::F32), ..LoadOptions::default() };
    let (model, pending) = pollster::block_on(async {
        Model::stream(pack.clone(), device.clone(), &options, Room::Share(0.5), &mut |_| {}).await.unwrap()
    });
    pollster::block_on(pending.load(&mut |_| {})).unwrap();
    model
}

/// Bits of logits after a prompt in chunks of 5 and of 1, and greedy tokens.
fn answers(model: Model, prompt: &[u32]) -> Result<(Vec<u32>, Vec<u32>)> {
    let mut run = Run::compile(model, 5)?;
    let mut logits = run.play(prompt).concat();
    let mut one = Run::compile(run.model, 1)?;
    let (tokens, last) = one.greedy(prompt, 12);
    logits.extend(last);
    Ok((logits.iter().map(|v| v.to_bits()).collect(), tokens))
}

/// Most buffers of a matrix and of a layer's records.
fn parts(model: &Model) -> (usize, usize) {
    let pools = |layer: &moebius_engine::model::Layer| match &layer.ffn {
        FfnWeights::Moe { experts, .. } => experts.pools.len(),
        FfnWeights::Dense(mlp) => mlp.gate_up.slabs.len(),
    };
    (model.weights.embed.slabs.len(), model.weights.layers.iter().map(pools).max().unwrap_or(0))
}

/// Where the search for the least buffers begins.
const LEAST: u64 = 2048;

/// Compares a whole model with one on a device that binds as little as will do.
fn compare(name: &str, device: &Rc<dyn Device>) {
    let golden = json(&format!("{name}/golden.json"));
    let (prompt, greedy) = (ids(&golden["prompt"]), ids(&golden["greedy"]));
    let (files, pack) = (folder(name), Rc::new(packed(&folder(name), Precision::Q4).0));
    let sources: [(&dyn Source, Precision); 3] =
        [(&files, Precision::Stored), (&files, Precision::Mxfp4), (pack.as_ref(), Precision::Stored)];
    let mut split = (0, 0);
    for (n, (source, precision)) in sources.into_iter().enumerate() {
        let want = answers(load(source, device, precision).unwrap(), &prompt).unwrap();
        assert!(n > 0 || want.1 == greedy[..12], "{name}");
        let mut binding = LEAST;
        let (embed, rest) = loop {
            let narrow: Rc<dyn Device> = Rc::new(Narrow { device: device.clone(), binding });
            let made = load(source, &narrow, precision).and_then(|model| Ok((parts(&model), answers(model, &prompt)?)));
            match made {
                // What cannot be told apart: vectors, caches, routers.
                Err(Error::Limit { .. }) => binding = (binding + binding / 4).next_multiple_of(16),
                made => {
                    let (parts, got) = made.unwrap();
                    assert!(got == want, "{name} as {n} on {} in buffers of {binding}", device.name());
                    if n == 2 {
                        let got = answers(stream(&pack, &narrow), &prompt).unwrap();
                        assert!(got == want, "{name} streamed on {} in buffers of {binding}", device.name());
                    }
                    break parts;
                }
            }
        };
        println!("{name} {n} on {}: {embed} and {rest} parts at {binding} bytes", device.name());
        split = (split.0.max(embed), split.1.max(rest));
    }
    assert!(split.0 > 1 && split.1 > 1, "{name}: {split:?} parts");
}

#[test]
fn weights_in_parts_are_the_same_on_the_cpu() {
    for device in [Rc::new(Cpu) as Rc<dyn Device>, Rc::new(Simd::new())] {
        MODELS.iter().for_each(|name| compare(name, &device));
    }
}

#[test]
fn weights_in_parts_are_the_same_on_the_gpu() {
    let Some(gpu) = adapter::gpu("weights_in_parts_are_the_same_on_the_gpu") else { return };
    let gpu: Rc<dyn Device> = Rc::new(gpu);
    ["qwen3", "qwen3_moe", "deepseek_v3_lite", "gpt_oss"].iter().for_each(|name| compare(name, &gpu));
}
