//! The page of what agrees with transformers, `docs/families.md`: made from what a test measured, and checked to be current.

use std::fmt::Write;

use moebius_tests::json;

use crate::page;

/// What a fixture came to: its largest differences from transformers on the CPU and the GPU, in deviations of the logits. Its tokens
/// are the golden ones. Of the same values in a file of f32: none where the file has some of eight or four bits, or none but such
/// values, and on the GPU where they were not measured.
pub(crate) struct Row {
    pub name: &'static str,
    pub cpu: f64,
    pub gpu: f64,
    pub wide: Option<(f64, Option<f64>)>,
}

const HEAD: &str = "# Families

What runs, and how far its logits are from those of Hugging Face transformers in f32, in standard deviations of the logits: the largest
over a whole vocabulary after a prompt of 40 tokens and after 32 more; and how many of those 32, chosen greedily, are transformers'
tokens. The models are tiny, with random weights and odd sizes; [tests/fixtures](../tests/fixtures/README.md) has them and says what
each is for. Stored values are widened to f32 for transformers. CPU is the scalar one, GPU any Vulkan driver that the tests find.

This page is made: `MOEBIUS_WRITE=1 cargo test -p moebius-tests --test models the_gpu_agrees`. The same test fails where it is not
current; f32 of what is stored in 16 bits it measures on the GPU only so, or with `MOEBIUS_ALL=1`.

## Safetensors

A family has its row for each kind of file that people have of it. The 16 bits of `granitemoeshared`, `qwen2` and `qwen3_moe_yarn` are
float16, those of the others bfloat16.

| `model_type` | fixture | f32, CPU | f32, GPU | 16 bits, CPU | 16 bits, GPU | 8 or 4 bits | CPU | GPU |
|---|---|---|---|---|---|---|---|---|
";

/// The first part of the page, of checkpoints.
pub(crate) fn check(mut rows: Vec<Row>) {
    let family = |row: &Row| json(&format!("{}/config.json", row.name))["model_type"].as_str().unwrap().to_owned();
    rows.sort_by_key(|row| (family(row), row.name));
    let mut page = HEAD.to_owned();
    for row in &rows {
        let all = |error| page::told((error, 32));
        let stored = [all(row.cpu), all(row.gpu)].join(" | ");
        let wide = row.wide.map(|(cpu, gpu)| [all(cpu), gpu.map_or(page::OPEN.into(), all)].join(" | "));
        let none = "– | –";
        let config = json(&format!("{}/config.json", row.name));
        let dtype = ["dtype", "torch_dtype"].iter().find_map(|key| config[key].as_str());
        let narrow = config["quantization_config"]["quant_method"].as_str();
        let [wide, half, narrow] = match (narrow, dtype) {
            (Some(method), _) => [none.into(), none.into(), format!("{method} | {stored}")],
            (None, Some("float32")) => [stored, none.into(), format!("– | {none}")],
            (None, _) => [wide.unwrap_or(none.into()), stored, format!("– | {none}")],
        };
        writeln!(page, "| `{}` | `{}` | {wide} | {half} | {narrow} |", family(row), row.name).unwrap();
    }
    page::current(&page);
}
