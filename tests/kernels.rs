//! Every kernel on the GPU, and on every path of the CPU, against its scalar twin, over the same cases.

mod adapter;
mod agree;
mod cases;
mod compare;
mod launch;
mod tolerance;

use std::time::Instant;

use moebius_engine::device::{Device, Simd};
use moebius_engine::format::FORMATS;
use moebius_engine::kernel::{EXPERTS_DOWN, EXPERTS_UP, KERNELS, Kernel, MATVEC, Matmul, Path};

#[test]
fn every_kernel_has_cases() {
    for kernel in KERNELS {
        let found = cases::cases(kernel);
        assert!(!found.is_empty(), "kernel {} has no cases", kernel.name);
        assert!(found.iter().all(|c| std::ptr::eq(c.kernel, kernel)), "cases of {} are another's", kernel.name);
        assert!(found.iter().all(|c| c.format.is_some() == kernel.per_format), "formats of {}", kernel.name);
    }
}

#[test]
fn every_kernel_agrees_with_its_twin() {
    let Some(mut gpu) = adapter::gpu("kernels") else { return };
    all_agree(&gpu);
    // What is launched otherwise where a GPU is wide.
    gpu.software = !gpu.software;
    agree_all(&gpu, [&MATVEC, &EXPERTS_UP, &EXPERTS_DOWN], 8);
}

#[test]
fn every_path_of_the_cpu_agrees_with_the_twins() {
    for path in Path::all() {
        println!("on {}", path.name);
        all_agree(&Simd::on(path));
    }
}

/// Every number is made whole by one thread, however many there are.
#[test]
fn threads_do_not_matter() {
    for path in Path::all() {
        let devices = [1, 2, 3].map(|threads| Simd::on(path).with_threads(threads));
        assert!(devices[2].name().ends_with(", 3 threads"), "{}", devices[2].name());
        for case in KERNELS.iter().flat_map(|kernel| cases::cases(kernel)) {
            let [one, two, three] = devices.each_ref().map(|device| {
                let all = launch::launch(device, case.kernel, case.format, &case.params, case.tokens, &case.buffers);
                pollster::block_on(all).unwrap()
            });
            let what = format!("{} {} on {}", case.kernel.name, case.name, path.name);
            assert!(one == two, "{what}: two threads");
            assert!(one == three, "{what}: three threads");
        }
    }
}

/// What is not a number must not be lost where inputs are rounded: it would pass for a prediction.
#[test]
fn no_path_of_the_cpu_makes_numbers_of_what_is_none() {
    for path in Path::all() {
        for format in FORMATS {
            for (at, none) in [(0, f32::NAN), (77, f32::INFINITY), (95, f32::NEG_INFINITY)] {
                let (weights, mut scales) = format.encode(&vec![0.5; 4 * 96], 4, 96);
                scales.resize(scales.len().max(4), 0);
                let mut x = vec![0.25f32; 96];
                x[at] = none;
                let buffers = [bytemuck::cast_slice(&x).to_vec(), vec![0; 4], weights, scales, vec![0; 4], vec![0; 4]];
                let params = Matmul::plain(4, 96).to_bytes();
                let device = Simd::on(path);
                let all = launch::launch(&device, &MATVEC, Some(format), &params, 1, &buffers);
                let y: Vec<f32> = pollster::block_on(all).unwrap()[4].iter().map(|w| f32::from_bits(*w)).collect();
                assert!(
                    y.iter().all(|y| !y.is_finite()),
                    "{none} at {at} with {} on {}: {y:?}",
                    format.name(),
                    path.name
                );
            }
        }
    }
}

/// Runs all cases of all kernels.
fn all_agree(device: &dyn Device) {
    agree_all(device, KERNELS.iter().copied(), 1);
}

/// The first of every `step` cases.
fn agree_all(device: &dyn Device, kernels: impl IntoIterator<Item = &'static Kernel>, step: usize) {
    let mut failures = Vec::new();
    for kernel in kernels {
        let start = Instant::now();
        let found = agree::agree(device, kernel, step);
        println!("{found}, {:5.1} s", start.elapsed().as_secs_f32());
        failures.extend(found.failures);
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
