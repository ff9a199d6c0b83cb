//! Any bytes as the header of a safetensors file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use moebius_engine::weights::safetensors;

fuzz_target!(|data: &[u8]| {
    let size = 8 + data.len() as u64 + 4096;
    if let Ok(tensors) = safetensors::parse("a.safetensors", data, size) {
        for info in tensors.values() {
            assert!(info.offset + info.bytes <= size);
        }
    }
});
