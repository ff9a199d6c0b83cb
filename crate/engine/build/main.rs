//! Build script: expands every shader variant and checks it with naga, and writes what the engine includes: the list of
//! variants, and the files that it expands them from when they are wanted. Whole texts would be ten times as long.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "a build script speaks to cargo in files, variables and printed lines"
)]

mod list;
mod preprocess;

use std::cell::RefCell;
use std::collections::BTreeMap;
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
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for variant in list::variants(&text(&folder.join("variants"))?) {
        let name = list::name(&variant);
        let read = RefCell::new(&mut files);
        let read = |file: &str| {
            let text = bare(&text(&folder.join(format!("{file}.wgsl")))?);
            read.borrow_mut().insert(file.to_owned(), text.clone());
            Ok(text)
        };
        let wgsl = preprocess::expand(&variant, &read)?;
        check(&wgsl, variant.subgroups).map_err(|e| format!("{name}: {e}"))?;
        // For whoever wants to read one.
        let path = Path::new(&out).join(format!("{name}.wgsl"));
        fs::write(&path, wgsl).map_err(|e| format!("{}: {e}", path.display()))?;
        let preprocess::Variant { kernel, format, subgroups } = variant;
        let fields = format!("kernel: {kernel:?}, format: {format:?}, subgroups: {subgroups}");
        writeln!(table, "Shader {{ {fields} }},").map_err(|e| e.to_string())?;
    }
    table.push(']');
    let write = |name: &str, text: String| fs::write(Path::new(&out).join(name), text).map_err(|e| e.to_string());
    write("shaders.rs", table)?;
    write("shader_files.rs", format!("{:?}", files.into_iter().collect::<Vec<_>>()))
}

/// A shader's text without comments and indentation.
fn bare(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or("").trim());
    lines.filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect()
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
