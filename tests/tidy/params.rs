//! The layout of `Params`: the Rust struct of a twin against what naga reports for its shader's.

use std::collections::BTreeMap;

use naga::{ScalarKind, TypeInner};

use crate::files::File;

/// A field as both sides see it: name, offset in bytes, type.
#[derive(Debug, PartialEq)]
struct Field {
    name: String,
    offset: u32,
    kind: String,
}

/// An expanded shader: its kernel's name, its variant, its text.
pub(crate) struct Shader {
    kernel: String,
    variant: String,
    wgsl: String,
}

/// Every variant that the engine was built with.
pub(crate) fn shaders() -> Vec<Shader> {
    let all = moebius_engine::kernel::shaders().iter();
    let owned = all.map(|s| Shader {
        kernel: s.kernel.to_owned(),
        variant: s.format.unwrap_or("only").to_owned(),
        wgsl: s.text(false),
    });
    owned.collect()
}

/// Fields of `pub struct Params` in a twin's source: `repr(C)`, and 32-bit scalars only, so offsets are multiples of four.
/// `None`: the file has no such struct.
fn rust(source: &str) -> Option<Result<Vec<Field>, String>> {
    let (before, after) = source.split_once("pub struct Params {")?;
    let attributes = before.rsplit("\n\n").next().unwrap_or("");
    if !attributes.contains("#[repr(C)]") {
        return Some(Err("Params is not repr(C)".to_owned()));
    }
    let body = after.split_once('}')?.0;
    let mut fields = Vec::new();
    for line in body.lines().filter_map(|line| line.trim().strip_prefix("pub ")) {
        let (name, kind) = line.trim_end_matches(',').split_once(": ")?;
        if !["u32", "i32", "f32"].contains(&kind) {
            return Some(Err(format!("Params.{name} is a {kind}; the rule knows u32, i32 and f32")));
        }
        fields.push(Field { name: name.to_owned(), offset: 4 * fields.len() as u32, kind: kind.to_owned() });
    }
    Some(Ok(fields))
}

/// Fields of the struct `Params` in a shader's text, as naga lays it out.
fn wgsl(text: &str) -> Result<Vec<Field>, String> {
    let module = naga::front::wgsl::parse_str(text).map_err(|e| e.emit_to_string(text))?;
    let is_params = |(_, ty): &(_, &naga::Type)| ty.name.as_deref() == Some("Params");
    let Some((_, ty)) = module.types.iter().find(is_params) else { return Err("no struct Params".to_owned()) };
    let TypeInner::Struct { members, .. } = &ty.inner else { return Err("Params is not a struct".to_owned()) };
    let field = |member: &naga::StructMember| {
        let kind = match module.types[member.ty].inner {
            TypeInner::Scalar(scalar) if scalar.width == 4 && scalar.kind == ScalarKind::Uint => "u32".to_owned(),
            TypeInner::Scalar(scalar) if scalar.width == 4 && scalar.kind == ScalarKind::Sint => "i32".to_owned(),
            TypeInner::Scalar(scalar) if scalar.width == 4 && scalar.kind == ScalarKind::Float => "f32".to_owned(),
            ref other => format!("{other:?}"),
        };
        Field { name: member.name.clone().unwrap_or_default(), offset: member.offset, kind }
    };
    Ok(members.iter().map(field).collect())
}

/// The twin's struct, or the one of the twin that it shares parameters with: the first that its code names as `NAME::`.
fn shared<'a>(twin: &'a str, twins: &BTreeMap<&str, &'a str>) -> &'a str {
    if twin.contains("pub struct Params {") {
        return twin;
    }
    let named = |name: &&str| twin.contains(&format!("{name}::")) && twins[*name].contains("pub struct Params {");
    twins.keys().find(|name| named(name)).map_or(twin, |name| twins[name])
}

/// Compares every shader's `Params` with its twin's.
pub(crate) fn layouts(files: &[File], shaders: &[Shader]) -> Vec<String> {
    let twins: BTreeMap<&str, &str> = files
        .iter()
        .filter_map(|f| Some((f.path.strip_prefix("crate/engine/src/kernel/")?.strip_suffix(".rs")?, f.text.as_str())))
        .collect();
    if shaders.is_empty() {
        return vec!["there are no shaders to compare".to_owned()];
    }
    let mut found = Vec::new();
    for Shader { kernel, variant, wgsl: text } in shaders {
        let Some(twin) = twins.get(kernel.as_str()) else {
            found.push(format!("{kernel}: no twin"));
            continue;
        };
        let here = match rust(shared(twin, &twins)) {
            Some(Ok(fields)) => fields,
            Some(Err(why)) => {
                found.push(format!("{kernel}: {why}"));
                continue;
            }
            None => {
                found.push(format!("{kernel}: its twin has no Params and names no twin that has"));
                continue;
            }
        };
        match wgsl(text) {
            Ok(there) if there == here => {}
            Ok(there) => found.push(format!("{kernel} ({variant}): Rust has {here:?}\n    but WGSL has {there:?}")),
            Err(why) => found.push(format!("{kernel} ({variant}): {why}")),
        }
    }
    found
}

#[test]
fn a_different_layout_is_seen() {
    let twin = "/// P.\n#[repr(C)]\npub struct Params {\n    /// A.\n    pub a: u32,\n    pub b: f32,\n}\n";
    let files = [
        File::new("crate/engine/src/kernel/k.rs", twin),
        File::new("crate/engine/src/kernel/like_k.rs", "use super::k;\nfn cpu() { k::run() }"),
        File::new("crate/engine/src/kernel/none.rs", "fn cpu() {}"),
        File::new("crate/engine/src/kernel/loose.rs", &twin.replace("#[repr(C)]\n", "")),
        File::new("crate/engine/src/kernel/wide.rs", &twin.replace("u32", "u64")),
    ];
    let complaints = |kernel: &str, members: &str| {
        let wgsl = format!("struct Params {{ {members} }}\n@group(0) @binding(0) var<uniform> params: Params;");
        layouts(&files, &[Shader { kernel: kernel.to_owned(), variant: "only".to_owned(), wgsl }]).len()
    };
    let same = "a: u32, b: f32";
    assert_eq!(complaints("k", same), 0);
    assert_eq!(complaints("like_k", same), 0);
    assert_eq!(complaints("k", "b: f32, a: u32"), 1, "order");
    assert_eq!(complaints("k", "a: u32, b: u32"), 1, "type");
    assert_eq!(complaints("k", "a: u32"), 1, "missing");
    assert_eq!(complaints("k", "a: u32, @align(16) b: f32"), 1, "offset");
    assert_eq!(complaints("k", "a: u32, b: f33"), 1, "broken shader");
    assert_eq!(complaints("none", same), 1, "no struct");
    assert_eq!(complaints("loose", same), 1, "no repr(C)");
    assert_eq!(complaints("wide", same), 1, "a type the rule does not know");
    assert_eq!(complaints("gone", same), 1, "no twin");
    assert_eq!(layouts(&files, &[]).len(), 1, "nothing compared");
}
