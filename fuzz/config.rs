//! Any bytes as a config.json.

#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use moebius_engine::device::Cpu;
use moebius_engine::model::{LoadOptions, Model};
use moebius_engine::source::Memory;

fuzz_target!(|data: &[u8]| {
    let mut memory = Memory::default();
    memory.insert("config.json", data);
    // There are no weights: at the latest they are missed.
    let model = pollster::block_on(Model::reserve(&memory, Rc::new(Cpu), &LoadOptions::default()));
    assert!(model.is_err());
});
