//! The order of the engine's modules: what is used stands to the left of what uses it.

use crate::files::File;

/// The engine's top-level modules, left to right; those in one row may use each other.
const LAYERS: [&[&str]; 8] = [
    &["error", "gather"],
    &["source"],
    &["format"],
    &["device", "kernel"],
    &["weights"],
    &["model"],
    &["session"],
    &["chat"],
];

const ENGINE: &str = "crate/engine/src/";

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// A file of the engine uses no module to the right of its own, and every module has its place.
pub(crate) fn layers(file: &File) -> Vec<String> {
    let Some(inside) = file.path.strip_prefix(ENGINE) else { return Vec::new() };
    let own = inside.split(['/', '.']).next().unwrap_or("");
    if inside == "lib.rs" || file.extension() != "rs" {
        return Vec::new();
    }
    let Some(here) = layer(own) else {
        return vec![format!("{}: module {own} has no place in the order; see tests/tidy/layers.rs", file.path)];
    };
    let mut found = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for used in used(code, depth(inside)) {
            let at = format!("{}:{}", file.path, number + 1);
            match layer(used) {
                Some(there) if there <= here => {}
                Some(_) => found.push(format!("{at}: {own} must not use {used}, which stands to its right")),
                None if used.starts_with(char::is_uppercase) => {} // what lib.rs re-exports: the error
                None => found.push(format!("{at}: {used} has no place in the order; see tests/tidy/layers.rs")),
            }
        }
    }
    found
}

/// How many `super::` lead from a file's module to the crate's root.
fn depth(inside: &str) -> usize {
    let parts = inside.split('/').count();
    if inside.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// Names after `crate::`, or after as many `super::` as lead to the root; all of a one-line group.
fn used(code: &str, depth: usize) -> Vec<&str> {
    let to_root = "super::".repeat(depth);
    let starts = code.match_indices("crate::").map(|(at, word)| at + word.len());
    let climbs = code.match_indices(&to_root).map(|(at, word)| at + word.len());
    let mut names = Vec::new();
    for start in starts.chain(climbs) {
        match code[start..].strip_prefix('{') {
            Some(group) => {
                let mut open = 0_i32;
                let mut from = 0;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => open += 1,
                        '}' if open > 0 => open -= 1,
                        ',' | '}' if open == 0 => {
                            names.push(name(group[from..at].trim()));
                            from = at + 1;
                            if c == '}' {
                                break;
                            }
                        }
                        _ => {}
                    }
                }
            }
            None => names.push(name(&code[start..])),
        }
    }
    names.retain(|name| !name.is_empty() && *name != "super");
    names
}

/// The identifier that `text` starts with.
fn name(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("")
}

#[test]
fn a_step_to_the_right_is_seen() {
    let complaints = |path: &str, text| layers(&File::new(&format!("{ENGINE}{path}"), text)).len();
    assert_eq!(complaints("model/spec.rs", "use crate::kernel::Rope;\nuse crate::error::Result;"), 0);
    assert_eq!(complaints("kernel/rope.rs", "use super::{Kernel, read};\nuse crate::device::Args;"), 0);
    assert_eq!(complaints("kernel/rope.rs", "use crate::model::Spec;"), 1);
    assert_eq!(complaints("source.rs", "fn f() -> crate::session::Session { loop {} }"), 1);
    assert_eq!(complaints("kernel/rope.rs", "use crate::{device::{Args, Plan}, chat, model::Spec};"), 2);
    assert_eq!(complaints("kernel/rope.rs", "use super::super::model::Spec;"), 1);
    assert_eq!(complaints("kernel/mod.rs", "use super::model::Spec;"), 1);
    assert_eq!(complaints("kernel/rope.rs", "//! See [`crate::model::Spec`]."), 0);
    assert_eq!(complaints("model/spec.rs", "use crate::manager::Helper;"), 1);
    assert_eq!(complaints("manager/mod.rs", ""), 1);
}
