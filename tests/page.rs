//! Parts of `docs/families.md`, each made from what a test measured and checked to be current.

use std::path::Path;

/// Bounds that are told: drivers differ in the last digits of a figure, and the page should not.
const TOLD: [f64; 6] = [2e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];

/// The least of the bounds that holds.
pub(crate) fn told(error: f64) -> String {
    TOLD.into_iter().find(|bound| error <= *bound).map_or("more".into(), |b| format!("≤ {b:.0e}"))
}

/// Writes a part of the page if `MOEBIUS_WRITE` is set, and else refuses one that says something else. The second part begins
/// with `mark`; the first ends where any second level of headings begins.
pub(crate) fn current(part: &str, mark: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/families.md");
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let at = found.find("\n## ").map_or(found.len(), |at| at + 1);
    let (first, second) = found.split_at(at);
    let (has, whole) = if mark.is_empty() {
        (first.trim_end(), format!("{}\n\n{second}", part.trim_end()))
    } else {
        (second.trim_end(), format!("{}\n\n{}", first.trim_end(), part))
    };
    if std::env::var_os("MOEBIUS_WRITE").is_some() {
        std::fs::write(&path, whole.trim_end().to_owned() + "\n").unwrap();
    } else {
        assert!(has == part.trim_end(), "docs/families.md is not current; it should have\n{part}");
    }
}
