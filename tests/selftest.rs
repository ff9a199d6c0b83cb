//! The GPU's self-test: it passes what is right, and every kernel that is broken on purpose is caught.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod adapter;
mod cases;

use moebius_engine::device::{Device, Gpu, Step};
use moebius_engine::kernel::{KERNELS, Kernel, Shader, shader};
use pollster::block_on;

/// A step of a kernel, to be compiled and so tested.
fn step(device: &dyn Device, kernel: &'static Kernel) -> Step {
    // The largest, whose like is tested: of one expert, say, a router can do nothing wrong.
    let size = |case: &cases::Case| case.buffers.iter().map(Vec::len).sum::<usize>();
    let case = cases::cases(kernel).into_iter().max_by_key(size).expect("a kernel has cases");
    assert!(std::ptr::eq(case.kernel, kernel), "cases of {} are another's", kernel.name);
    let bindings = case.buffers.iter().map(|words| device.buffer("case", 4 * words.len() as u64).expect("a buffer"));
    let (label, params) = (kernel.name.to_owned(), case.params.clone());
    Step { label, kernel, format: case.format, params, bindings: bindings.collect() }
}

fn compile(gpu: &Gpu, kernel: &'static Kernel) -> Result<(), String> {
    block_on(gpu.compile(vec![step(gpu, kernel)])).map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn what_is_right_passes() {
    let Some(mut gpu) = adapter::gpu("what_is_right_passes") else { return };
    // As it is launched on software and elsewhere, whichever of them this is.
    for _ in 0..2 {
        for kernel in KERNELS {
            assert_eq!(compile(&gpu, kernel), Ok(()), "{}", kernel.name);
        }
        gpu.software = !gpu.software;
    }
    assert_eq!(gpu.fallbacks(), [""; 0], "on {}", gpu.name());
}

/// What a miscompiled loop, a lost store or a wrong lane may look like: the first of these that a shader has.
const SLIPS: [(&str, &str); 8] = [
    ("sum ^=", "sum ="),
    ("sum +=", "sum ="),
    ("total +=", "total ="),
    ("plus_products((*sums)[0],", "plus_products(vec4<f32>(0.0),"),
    ("s.at[i] =", "s.at[0] ="),
    ("at += lower", "at = lower"),
    ("x[at + c + n] =", "x[at + c] ="),
    ("y[id.x] =", "y[id.x + 1u] ="),
];

fn slip(_: &Shader, text: &str) -> String {
    let found = SLIPS.iter().find(|(right, _)| text.contains(right));
    let (right, wrong) = found.unwrap_or_else(|| panic!("nothing to break in\n{text}"));
    text.replacen(right, wrong, 1)
}

#[test]
fn what_is_broken_is_caught() {
    for kernel in KERNELS {
        let Some(mut gpu) = adapter::gpu("what_is_broken_is_caught") else { return };
        gpu.alter = Some(slip);
        let outcome = compile(&gpu, kernel);
        let said = outcome.expect_err(&format!("{} broken, and not caught", kernel.name));
        assert!(said.contains(kernel.name) && said.contains("wrong results"), "{said}");
        println!("{}: {said}", kernel.name);
    }
}

fn slip_with_subgroups(shader: &Shader, text: &str) -> String {
    if shader.subgroups { slip(shader, text) } else { text.to_owned() }
}

#[test]
fn a_broken_variant_falls_back() {
    let Some(mut gpu) = adapter::gpu("a_broken_variant_falls_back") else { return };
    gpu.alter = Some(slip_with_subgroups);
    let two = |kernel: &Kernel, step: &Step| {
        let wanted = (kernel.launch)(&step.params, &gpu.profile).subgroups;
        wanted && shader(kernel, step.format, true).is_some_and(|s| s.subgroups)
    };
    let mut expected = Vec::new();
    for kernel in KERNELS {
        let step = step(&gpu, kernel);
        if two(kernel, &step) && gpu.profile.subgroups() {
            let format = step.format.map_or(String::new(), |f| format!(".{}", f.name()));
            expected.push(format!("{}{format} without subgroup operations", kernel.name));
        }
        assert_eq!(compile(&gpu, kernel), Ok(()), "{}", kernel.name);
    }
    assert_eq!(gpu.fallbacks(), expected);
}
