//! Whole forward passes on the GPU against the CPU: both attentions, all precisions, token by token and in chunks.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod adapter;
mod compare;
mod folder;
#[expect(dead_code, reason = "greedy decoding and likelihoods are for golden values")]
mod run;

use std::rc::Rc;

use compare::{Bound, floats};
use folder::folder;
use moebius_engine::device::{Cpu, Device};
use moebius_engine::model::{LoadOptions, Model};
use moebius_engine::weights::Precision;
use moebius_tests::{ids, json};
use run::Run;

/// The same sums in another order through all layers, as a part of the largest logit. A route that flips, a lost token or a
/// wrong row is a thousand times more.
const BOUND: Bound = Bound { relative: 0.0, of_largest: 1e-4 };

#[test]
fn logits_are_the_same_on_both_devices() {
    let Some(gpu) = adapter::gpu("logits_are_the_same_on_both_devices") else { return };
    let gpu: Rc<dyn Device> = Rc::new(gpu);
    let cpu: Rc<dyn Device> = Rc::new(Cpu);
    use Precision::{F16, Fp8, Mxfp4, Q4, Q4All, Q8, Stored};
    // Every precision through one attention, and through the other those that its own kernels read another way.
    let cases: [(&str, &[Precision]); 3] = [
        ("qwen3_moe", &[Stored, F16, Q8, Q4, Q4All, Fp8, Mxfp4]),
        ("deepseek_v3", &[Stored, Q4All, Q8]),
        ("deepseek_v3_fp8", &[Stored]),
    ];
    for (name, precisions) in cases {
        let tokens = ids(&json(&format!("{name}/golden.json"))["excerpt"]["ids"]);
        let tokens = &tokens[..tokens.len().min(45)];
        for precision in precisions.iter().copied() {
            let play = |device: &Rc<dyn Device>, chunk| {
                let options = LoadOptions { precision, context: Some(64), ..LoadOptions::default() };
                let folder = folder(name);
                let model = pollster::block_on(Model::load(&folder, device.clone(), &options, &mut |_| {}));
                Run::new(model.unwrap(), chunk).play(tokens).concat()
            };
            let want = play(&cpu, 32);
            for chunk in [1, 32] {
                let used =
                    floats(&play(&gpu, chunk), &want, BOUND).map_err(|e| format!("{name} {precision:?} {chunk}: {e}"));
                println!(
                    "{name} as {}, chunks of {chunk}: {:.0} % of the bound",
                    precision.name(),
                    100.0 * used.unwrap()
                );
            }
        }
    }
}
