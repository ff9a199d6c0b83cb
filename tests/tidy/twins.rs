//! Every shader has a scalar twin of its name, and both stand in the registry.

use std::collections::BTreeSet;

use moebius_engine::kernel::KERNELS;

use crate::files::File;

const SHADERS: &str = "shaders/";
const TWINS: &str = "crate/engine/src/kernel/";

/// Files beside the twins that are about all kernels.
const ABOUT_ALL: [&str; 4] = ["arithmetic", "mod", "probe", "shader"];

/// The names in the engine's registry.
pub(crate) fn registry() -> BTreeSet<String> {
    KERNELS.iter().map(|kernel| kernel.name.to_owned()).collect()
}

/// Compares the shaders' names, the twins' and the registry's.
pub(crate) fn twins(files: &[File], registry: &BTreeSet<String>) -> Vec<String> {
    let names = |folder: &str, extension: &str| -> BTreeSet<String> {
        let inside = files.iter().filter_map(|file| file.path.strip_prefix(folder)?.strip_suffix(extension));
        inside.filter(|name| !name.contains('/') && !ABOUT_ALL.contains(name)).map(str::to_owned).collect()
    };
    let shaders = names(SHADERS, ".wgsl");
    let twins = names(TWINS, ".rs");
    let mut found = Vec::new();
    for name in shaders.union(&twins).cloned().collect::<BTreeSet<_>>().union(registry) {
        if !shaders.contains(name) {
            found.push(format!("kernel {name} has no {SHADERS}{name}.wgsl"));
        }
        if !twins.contains(name) {
            found.push(format!("kernel {name} has no {TWINS}{name}.rs"));
        }
        if !registry.contains(name) {
            found.push(format!("kernel {name} is not in KERNELS"));
        }
    }
    found
}

#[test]
fn a_missing_twin_is_seen() {
    let all =
        ["shaders/a.wgsl", "shaders/shared/x.wgsl", "crate/engine/src/kernel/a.rs", "crate/engine/src/kernel/mod.rs"];
    let files = |without: &str| -> Vec<File> {
        all.iter().filter(|path| **path != without).map(|path| File::new(path, "")).collect()
    };
    let registry = BTreeSet::from(["a".to_owned()]);
    assert_eq!(twins(&files(""), &registry).len(), 0);
    assert_eq!(twins(&files("shaders/a.wgsl"), &registry).len(), 1);
    assert_eq!(twins(&files("crate/engine/src/kernel/a.rs"), &registry).len(), 1);
    assert_eq!(twins(&files(""), &BTreeSet::new()).len(), 1);
}
