//! The GPU that tests run on: whatever `VK_DRIVER_FILES` names, with all it has, or with WebGPU's defaults alone when
//! `MOEBIUS_PROFILE` is `least`. None is a skip that is printed, and a failure when `MOEBIUS_STRICT` is 1.

use moebius_engine::device::{Device, Gpu, Profile};

/// The device, or `None` after saying so.
pub(crate) fn gpu(test: &str) -> Option<Gpu> {
    let least = std::env::var("MOEBIUS_PROFILE").as_deref() == Ok("least");
    match pollster::block_on(Gpu::new(if least { Profile::LEAST } else { Profile::ALL })) {
        Ok(gpu) => {
            println!("{test}: on {}, {:?}", gpu.name(), gpu.profile);
            Some(gpu)
        }
        Err(e) => {
            assert!(std::env::var("MOEBIUS_STRICT").as_deref() != Ok("1"), "{test}: {e}");
            println!("SKIP {test}: {e}");
            None
        }
    }
}
