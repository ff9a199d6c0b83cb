//! The shader preprocessor: `#import NAME`, `#ifdef NAME`, `#else` and `#endif`, each alone on its line.
//!
//! `#import format` takes the file named as the variant's format. A file is taken in once, at its first import.

use std::collections::BTreeSet;

/// One text of a shader.
pub(crate) struct Variant {
    pub(crate) kernel: String,
    /// Weight format, for kernels that read weights.
    pub(crate) format: Option<String>,
    /// Whether it may use subgroup operations.
    pub(crate) subgroups: bool,
}

impl Variant {
    /// Whether `#ifdef name` keeps its lines.
    fn defines(&self, name: &str) -> bool {
        self.format.as_deref() == Some(name) || (self.subgroups && name == "subgroups")
    }
}

/// Expands a variant; `read` gives the text of `NAME.wgsl` and of `shared/NAME.wgsl` for its imports.
///
/// # Errors
/// A message with file and line for an unknown directive, an import that cannot be read, or an unbalanced `#ifdef`.
pub(crate) fn expand(variant: &Variant, read: &dyn Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let mut out = String::new();
    take(&variant.kernel, variant, read, &mut BTreeSet::new(), &mut out)?;
    Ok(out)
}

fn take(
    file: &str,
    variant: &Variant,
    read: &dyn Fn(&str) -> Result<String, String>,
    taken: &mut BTreeSet<String>,
    out: &mut String,
) -> Result<(), String> {
    if !taken.insert(file.to_owned()) {
        return Ok(());
    }
    // One entry for every open `#ifdef`: whether its lines are kept.
    let mut open: Vec<bool> = Vec::new();
    for (number, line) in read(file)?.lines().enumerate() {
        let fail = |what: &str| format!("{file}.wgsl:{}: {what}: {line}", number + 1);
        let mut words = line.split_whitespace();
        let kept = open.iter().all(|k| *k);
        match (words.next(), words.next()) {
            (Some("#ifdef"), Some(wanted)) => open.push(variant.defines(wanted)),
            (Some("#else"), None) => {
                let last = open.last_mut().ok_or_else(|| fail("no #ifdef is open"))?;
                *last = !*last;
            }
            (Some("#endif"), None) => {
                open.pop().ok_or_else(|| fail("no #ifdef is open"))?;
            }
            (Some("#import"), Some(import)) if kept => {
                let import = match (import, variant.format.as_deref()) {
                    ("format", Some(format)) => format,
                    ("format", None) => return Err(fail("this kernel has no formats")),
                    (other, _) => other,
                };
                take(&format!("shared/{import}"), variant, read, taken, out)
                    .map_err(|e| format!("{e}\n  {}", fail("from")))?;
            }
            (Some(word), _) if word.starts_with('#') && kept => return Err(fail("unknown directive")),
            _ if kept => {
                out.push_str(line);
                out.push('\n');
            }
            _ => {}
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{file}.wgsl: an #ifdef without #endif")) }
}
