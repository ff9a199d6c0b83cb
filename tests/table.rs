//! The page of what agrees with transformers, `docs/families.md`: made from what a test measured, and checked to be current.

use std::fmt::Write;

use moebius_tests::json;

use crate::page;

/// What a fixture came to: its largest differences from transformers on the CPU and the GPU, in deviations of the logits.
pub(crate) struct Row {
    pub name: &'static str,
    pub cpu: f64,
    pub gpu: f64,
}

const HEAD: &str = "# Families

What runs, and how far its logits are from those of Hugging Face transformers in f32, in standard deviations of the logits: the largest
over a whole vocabulary after a prompt of 40 tokens and after 32 more, chosen greedily, which have to be transformers' tokens. The
models are tiny, with random weights and odd sizes; [tests/fixtures](../tests/fixtures/README.md) has them and says what each is for.
Stored values are widened to f32 for transformers. CPU is the scalar one, GPU any Vulkan driver that the tests find.

This page is made: `MOEBIUS_WRITE=1 cargo test -p moebius-tests --test models the_gpu_agrees`. The same test fails where it is not
current.

| `model_type` | fixture | file | CPU | GPU | greedy tokens |
|---|---|---|---|---|---|
";

/// The first part of the page, of checkpoints.
pub(crate) fn check(mut rows: Vec<Row>) {
    let family = |row: &Row| json(&format!("{}/config.json", row.name))["model_type"].as_str().unwrap().to_owned();
    rows.sort_by_key(|row| (family(row), row.name));
    let mut page = HEAD.to_owned();
    for row in &rows {
        let Row { name, cpu, gpu } = *row;
        let (family, file) = (family(row), file(name));
        let (cpu, gpu) = (page::told(cpu), page::told(gpu));
        writeln!(page, "| `{family}` | `{name}` | {file} | {cpu} | {gpu} | 32 of 32 |").unwrap();
    }
    page::current(&page, "");
}

/// How a fixture is stored.
fn file(name: &str) -> String {
    let config = json(&format!("{name}/config.json"));
    let dtype = ["dtype", "torch_dtype"].iter().find_map(|key| config[key].as_str()).unwrap_or("unknown");
    match config["quantization_config"]["quant_method"].as_str() {
        Some(method) => format!("safetensors, {method} and {dtype}"),
        None => format!("safetensors, {dtype}"),
    }
}
