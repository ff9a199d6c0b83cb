//! A device's kernels against their scalar twins, over the same cases.

use std::fmt;

use moebius_engine::device::{Cpu, Device};
use moebius_engine::format::Format;
use moebius_engine::kernel::{Access, Kernel};

use super::cases::{self, Case};
use super::compare::{self, Bound};
use super::{launch, tolerance};

/// How the cases of a kernel went.
pub(crate) struct Found {
    kernel: &'static str,
    pub cases: usize,
    /// The largest part of a bound that was used.
    most: f32,
    pub failures: Vec<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:14} {:3} cases, at most {:3.0} % of the bound", self.kernel, self.cases, 100.0 * self.most)
    }
}

/// Runs the first of every `step` cases of a kernel.
pub(crate) fn agree(device: &dyn Device, kernel: &Kernel, step: usize) -> Found {
    let mut found = Found { kernel: kernel.name, cases: 0, most: 0.0, failures: Vec::new() };
    for case in cases::cases(kernel).into_iter().step_by(step) {
        found.cases += 1;
        match one(device, &case) {
            Ok(used) => found.most = found.most.max(used),
            Err(e) => found.failures.push(format!("{} {}: {e}", kernel.name, case.name)),
        }
    }
    found
}

/// Runs a case on both devices and compares all buffers: outputs by their kind, and inputs exactly.
fn one(device: &dyn Device, case: &Case) -> Result<f32, String> {
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
