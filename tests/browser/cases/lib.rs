//! Every kernel on the vectors that a browser has against its scalar twin, over the cases that are run natively.

#[path = "../../agree.rs"]
mod agree;
#[path = "../../cases/mod.rs"]
mod cases;
#[path = "../../compare.rs"]
mod compare;
#[path = "../../launch.rs"]
mod launch;
#[path = "../../tolerance.rs"]
mod tolerance;

use moebius_engine::device::Simd;
use moebius_engine::kernel::{KERNELS, Path};
use wasm_bindgen::prelude::wasm_bindgen;

/// Runs all cases of all kernels on every path; a line for each kernel. Those that do not agree are thrown.
#[wasm_bindgen]
pub fn agree() -> Result<String, String> {
    let (mut lines, mut failures) = (Vec::new(), Vec::new());
    for path in Path::all() {
        lines.push(format!("on {}", path.name));
        for kernel in KERNELS {
            let found = agree::agree(&Simd::on(path), kernel, 1);
            lines.push(found.to_string());
            failures.extend(found.failures);
        }
    }
    if failures.is_empty() { Ok(lines.join("\n")) } else { Err(failures.join("\n")) }
}
