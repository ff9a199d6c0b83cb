//! Any bytes as a GGUF: its header, and what is made of its metadata.

#![no_main]

use libfuzzer_sys::fuzz_target;
use moebius_engine::model::Files;
use moebius_engine::session::{Template, Tokenizer};
use moebius_engine::source::Memory;
use moebius_engine::weights::gguf;

fuzz_target!(|data: &[u8]| {
    let Ok(Some(header)) = gguf::parse("a.gguf", data, data.len() as u64) else { return };
    for info in header.tensors.values() {
        assert!(info.offset + info.bytes <= data.len() as u64);
    }
    let mut memory = Memory::default();
    memory.insert("a.gguf", data);
    memory.gguf = Some("a.gguf".into());
    if let Ok(files) = pollster::block_on(Files::read(&memory)) {
        drop(files.tokenizer.as_ref().map(|text| Tokenizer::new(text.as_bytes())));
        drop(Template::of(&files));
    }
});
