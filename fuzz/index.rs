//! Any bytes as a model.safetensors.index.json.

#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use moebius_engine::device::Cpu;
use moebius_engine::model::{LoadOptions, Model};
use moebius_engine::source::Memory;

const CONFIG: &[u8] = include_bytes!("../tests/fixtures/llama/config.json");
const WEIGHTS: &[u8] = include_bytes!("../tests/fixtures/llama/model.safetensors");

fuzz_target!(|data: &[u8]| {
    let mut memory = Memory::default();
    memory.insert("config.json", CONFIG);
    memory.insert("a.safetensors", WEIGHTS);
    memory.insert("model.safetensors.index.json", data);
    drop(pollster::block_on(Model::reserve(&memory, Rc::new(Cpu), &LoadOptions::default())));
});
