//! Build script: expands every shader variant, checks it with naga, and writes the table that the engine includes.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a build script speaks to cargo in files, variables and printed lines"
)]

mod preprocess;

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shaders");
    // Relative, so that worktrees that share a target folder each watch their own.
    println!("cargo::rerun-if-changed=../../shaders");
    println!("cargo::rerun-if-changed=build");
    if let Err(message) = build(&folder) {
        println!("cargo::error={}", message.replace('\n', " | "));
    }
}

fn build(folder: &Path) -> Result<(), String> {
    let out = env::var("OUT_DIR").map_err(|e| e.to_string())?;
    let text = |path: &Path| fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()));
    let mut table = String::from("[\n");
    for variant in preprocess::variants(&text(&folder.join("variants"))?) {
        let name = variant.name();
        let read = |file: &str| text(&folder.join(format!("{file}.wgsl")));
        let wgsl = preprocess::expand(&variant, &read)?;
        check(&wgsl, variant.subgroups).map_err(|e| format!("{name}: {e}"))?;
        let path = Path::new(&out).join(format!("{name}.wgsl"));
        fs::write(&path, wgsl).map_err(|e| format!("{}: {e}", path.display()))?;
        let preprocess::Variant { kernel, format, subgroups } = variant;
        let fields = format!("kernel: {kernel:?}, format: {format:?}, subgroups: {subgroups}");
        writeln!(table, "Shader {{ {fields}, wgsl: include_str!({path:?}) }},").map_err(|e| e.to_string())?;
    }
    table.push(']');
    fs::write(Path::new(&out).join("shaders.rs"), table).map_err(|e| e.to_string())
}

/// Refuses what WebGPU would refuse without optional features, or with subgroups alone.
fn check(wgsl: &str, subgroups: bool) -> Result<(), String> {
    let module = naga::front::wgsl::parse_str(wgsl).map_err(|e| e.emit_to_string(wgsl))?;
    // unpack2x16float is plain WebGPU, though naga has a capability for it.
    let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    capabilities.set(Capabilities::SUBGROUP, subgroups);
    Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(ShaderStages::COMPUTE)
        .subgroup_operations(SubgroupOperationSet::all())
        .validate(&module)
        .map(|_| ())
        .map_err(|e| e.emit_to_string(wgsl))
}
