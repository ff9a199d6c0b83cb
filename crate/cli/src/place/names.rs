//! Names of models on a hub, and which of a repository's files is the model.

use moebius_engine::Result;
use moebius_engine::weights::MANIFEST;

use crate::disk::file_error;

/// Kinds of GGUFs, the first of which is taken where a repository has several.
const KINDS: [&str; 9] = ["Q4_K_M", "Q4_0", "Q8_0", "MXFP4", "Q4_K_S", "Q5_K_M", "Q6_K", "BF16", "F16"];

/// The parts of `hf:owner/name…`.
#[derive(Debug, PartialEq)]
pub(super) struct Name<'a> {
    pub(super) id: &'a str,
    pub(super) file: Option<&'a str>,
    pub(super) kind: Option<&'a str>,
    pub(super) revision: &'a str,
}

impl<'a> Name<'a> {
    /// None where it is not such a name.
    pub(super) fn new(name: &'a str) -> Option<Self> {
        let rest = name.strip_prefix("hf:")?;
        let (rest, revision) = rest.split_once('@').unwrap_or((rest, "main"));
        let (rest, kind) = rest.split_once(':').map_or((rest, None), |(rest, kind)| (rest, Some(kind)));
        let slash = rest.find('/')?;
        let (id, file) = match rest[slash + 1..].find('/') {
            Some(end) => (&rest[..slash + 1 + end], Some(&rest[slash + end + 2..])),
            None => (rest, None),
        };
        let plain = |text: &str, more: &str| {
            let letter = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c) || more.contains(c);
            !text.is_empty() && !text.split('/').any(|part| ["", ".", ".."].contains(&part)) && text.chars().all(letter)
        };
        let file_is =
            file.is_none_or(|file| kind.is_none() && file.to_lowercase().ends_with(".gguf") && plain(file, "/ +"));
        let good = plain(id, "/") && file_is && kind.is_none_or(|kind| plain(kind, "")) && plain(revision, "/");
        good.then_some(Name { id, file, kind, revision })
    }
}

/// The files of a .gguf that may be one of several.
pub(super) fn parts(gguf: &str) -> Vec<String> {
    let stem = &gguf[..gguf.len() - ".gguf".len()];
    let split = stem.rsplit_once("-of-").and_then(|(head, count)| Some((head.rsplit_once('-')?.0, count)));
    match split.and_then(|(head, count)| Some((head, count, count.parse::<u32>().ok()?))) {
        Some((head, digits, count)) if digits.len() == 5 && count < 1000 => {
            (1..=count).map(|i| format!("{head}-{i:05}-of-{digits}.gguf")).collect()
        }
        _ => vec![gguf.into()],
    }
}

/// The .gguf of a repository that is its model; none for the folder itself.
pub(super) fn choose(name: &str, names: &[&str], kind: Option<&str>) -> Result<Option<String>> {
    let first = |name: &str| name.rsplit_once("-of-").is_none_or(|(head, _)| head.ends_with("-00001"));
    let is = |name: &&&str| name.to_lowercase().ends_with(".gguf") && !name.contains("mmproj") && first(name);
    let all: Vec<&str> = names.iter().filter(is).copied().collect();
    let folder = names.contains(&MANIFEST)
        || (names.contains(&"config.json") && names.iter().any(|name| name.ends_with(".safetensors")));
    if kind.is_none() && folder {
        return Ok(None);
    }
    let of = |kind: &str| all.iter().find(|name| name.to_uppercase().contains(&kind.to_uppercase()));
    let found = match kind {
        Some(kind) => of(kind),
        None => KINDS.iter().find_map(|kind| of(kind)).or(all.first().filter(|_| all.len() == 1)),
    };
    found.map(|name| Some((*name).to_owned())).ok_or_else(|| {
        let has = match all.as_slice() {
            [] => "has neither config.json with safetensors nor a .gguf".into(),
            all => format!("has {}", all[..all.len().min(20)].join(", ")),
        };
        file_error(name, kind.map_or(has.clone(), |kind| format!("no {kind} is there: it {has}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_parts() {
        let name = Name::new("hf:a/b:Q4_0@v1").unwrap();
        assert_eq!(name, Name { id: "a/b", file: None, kind: Some("Q4_0"), revision: "v1" });
        let name = Name::new("hf:a/b/c d/e.GGUF").unwrap();
        assert_eq!(name, Name { id: "a/b", file: Some("c d/e.GGUF"), kind: None, revision: "main" });
        for bad in [
            "hf:",
            "hf:a",
            "hf:a/",
            "hf:/b",
            "hf:a/..",
            "hf:a/b/c.txt",
            "hf:a/b/../c.gguf",
            "hf:a/b@",
            "hf:a/b:",
            "hf:a/b/c.gguf:Q4_0",
        ] {
            assert_eq!(Name::new(bad), None, "{bad}");
        }
    }

    #[test]
    fn parts_are_counted() {
        assert_eq!(parts("a.gguf"), ["a.gguf"]);
        assert_eq!(parts("a/b-00001-of-00002.gguf"), ["a/b-00001-of-00002.gguf", "a/b-00002-of-00002.gguf"]);
    }
}
