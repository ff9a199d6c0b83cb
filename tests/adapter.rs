//! The GPU that tests run on: whatever `VK_DRIVER_FILES` names. None is a skip that is printed, and a failure when
//! `MOEBIUS_STRICT` is 1.

use moebius_engine::device::{Device, Gpu};

/// The device, or `None` after saying so.
pub(crate) fn gpu(test: &str) -> Option<Gpu> {
    match pollster::block_on(Gpu::new()) {
        Ok(gpu) => {
            println!("{test}: on {}", gpu.name());
            Some(gpu)
        }
        Err(e) => {
            assert!(std::env::var("MOEBIUS_STRICT").as_deref() != Ok("1"), "{test}: {e}");
            println!("SKIP {test}: {e}");
            None
        }
    }
}
