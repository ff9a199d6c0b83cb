//! Every kernel on the GPU, and on every path of the CPU, against its scalar twin, over the same cases.

mod adapter;
mod cases;
mod compare;
mod launch;
mod tolerance;

use std::time::Instant;

use cases::Case;
use compare::Bound;
use moebius_engine::device::{Cpu, Device, Simd};
use moebius_engine::format::{FORMATS, Format};
use moebius_engine::kernel::{Access, KERNELS, MATVEC, Matmul, Path};

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
    let Some(gpu) = adapter::gpu("kernels") else { return };
    all_agree(&gpu);
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
    let mut failures = Vec::new();
    for kernel in KERNELS {
        let (mut count, mut most, start) = (0, 0f32, Instant::now());
        for case in cases::cases(kernel) {
            count += 1;
            match agree(device, &case) {
                Ok(used) => most = most.max(used),
                Err(e) => failures.push(format!("{} {}: {e}", kernel.name, case.name)),
            }
        }
        let (most, seconds) = (most * 100.0, start.elapsed().as_secs_f32());
        println!("{:14} {count:3} cases, at most {most:3.0} % of the bound, {seconds:5.1} s", kernel.name);
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// Runs a case on both devices and compares all buffers: outputs by their kind, and inputs exactly.
fn agree(device: &dyn Device, case: &Case) -> Result<f32, String> {
    let run = |device| {
        let buffers = launch::launch(device, case.kernel, case.format, &case.params, case.tokens, &case.buffers);
        pollster::block_on(buffers).map_err(|e| e.to_string())
    };
    let (want, got) = (run(&Cpu)?, run(device)?);
    let floats = |got: &[u32], want: &[u32]| {
        let bound = match device.kind() {
            "cpu" => tolerance::rounded(case.kernel.name, case.format, want.len()),
            _ => tolerance::bound(case.kernel.name, case.format),
        };
        compare::floats(bytemuck::cast_slice(got), bytemuck::cast_slice(want), bound)
    };
    let mut used = 0f32;
    for ((binding, got), want) in case.kernel.bindings.iter().zip(&got).zip(&want) {
        // Of pairs (expert, weight) and of (id, log-probability, number kept), the odd words are floats.
        let of = |odd: usize| -> (Vec<u32>, Vec<u32>) {
            let pick = |words: &[u32]| words.iter().skip(odd).step_by(2).copied().collect();
            (pick(got), pick(want))
        };
        let halves = |words: &[u32]| {
            let mut floats = vec![0.0; 2 * words.len()];
            Format::F16.decode_row(words, &[], 0, &mut floats);
            floats
        };
        let result = match binding.name {
            _ if binding.access != Access::Write => compare::words(got, want),
            "state" | "tokens" | "seen" | "sorted" | "sums" => compare::words(got, want),
            "chosen" | "result" => {
                let ((ids, true_ids), (values, true_values)) = (of(0), of(1));
                compare::words(&ids, &true_ids).and_then(|_| floats(&values, &true_values))
            }
            // Which way a half is rounded is the device's affair: the last bit may differ.
            "keys" | "values" | "cache" if case.half => {
                compare::floats(&halves(got), &halves(want), Bound { relative: 1e-3, of_largest: 1e-6 })
            }
            _ => floats(got, want),
        };
        used = used.max(result.map_err(|e| format!("{}: {e}", binding.name))?);
    }
    Ok(used)
}
