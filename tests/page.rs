//! Parts of `docs/families.md`, each made from what a test measured and checked to be current.

use std::path::Path;

/// Bounds that are told: drivers differ in the last digits of a figure, and the page should not.
const TOLD: [f64; 9] = [2e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0];

/// What stands for a figure that was not measured.
pub(crate) const OPEN: &str = "?";

/// Whether to measure what takes long, too: figures that only the page needs.
pub(crate) fn all() -> bool {
    ["MOEBIUS_WRITE", "MOEBIUS_ALL"].iter().any(|name| std::env::var_os(name).is_some())
}

/// What a file came to on a device: the least of the bounds that holds, and how many of the 32 tokens are the golden ones.
pub(crate) fn told((error, tokens): (f64, usize)) -> String {
    let bound = TOLD.into_iter().find(|bound| error <= *bound).map_or("more".into(), |b| format!("≤ {b:.0e}"));
    format!("{bound}, {tokens}")
}

/// Whether two texts are the same but for what is open in the second.
fn same(has: &str, wants: &str) -> bool {
    let line = |(has, wants): (&str, &str)| {
        let (has, wants): (Vec<_>, Vec<_>) = (has.split('|').collect(), wants.split('|').collect());
        has.len() == wants.len() && has.iter().zip(&wants).all(|(has, wants)| wants.trim() == OPEN || has == wants)
    };
    has.lines().count() == wants.lines().count() && has.lines().zip(wants.lines()).all(line)
}

/// What the second part begins with.
const SECOND: &str = "## GGUF";

/// Writes a part of the page if `MOEBIUS_WRITE` is set, and else refuses one that says something else.
pub(crate) fn current(part: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/families.md");
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let at = found.find(&format!("\n{SECOND}")).map_or(found.len(), |at| at + 1);
    let (first, second) = found.split_at(at);
    let (has, whole) = if part.starts_with(SECOND) {
        (second.trim_end(), format!("{}\n\n{}", first.trim_end(), part))
    } else {
        (first.trim_end(), format!("{}\n\n{second}", part.trim_end()))
    };
    if std::env::var_os("MOEBIUS_WRITE").is_some() {
        std::fs::write(&path, whole.trim_end().to_owned() + "\n").unwrap();
    } else {
        assert!(same(has, part.trim_end()), "docs/families.md is not current; it should have\n{part}");
    }
}
