//! Any bytes as a generation_config.json.

#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use moebius_engine::device::Cpu;
use moebius_engine::model::{LoadOptions, Model};
use moebius_engine::source::Memory;

const CONFIG: &[u8] = include_bytes!("../tests/fixtures/llama/config.json");

fuzz_target!(|data: &[u8]| {
    let mut memory = Memory::default();
    memory.insert("config.json", CONFIG);
    memory.insert("generation_config.json", data);
    let model = pollster::block_on(Model::reserve(&memory, Rc::new(Cpu), &LoadOptions::default()));
    assert!(model.is_err());
});
