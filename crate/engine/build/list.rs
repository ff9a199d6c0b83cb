//! The list of shader variants.

use crate::preprocess::Variant;

/// What follows a kernel in the list that also comes with subgroup operations.
const SUBGROUPS: &str = "+subgroups";

/// What tells a variant from all others: `matvec.q4.subgroups`.
pub(crate) fn name(variant: &Variant) -> String {
    let format = variant.format.iter().map(|f| format!(".{f}"));
    let subgroups = variant.subgroups.then(|| ".subgroups".to_owned());
    std::iter::once(variant.kernel.clone()).chain(format).chain(subgroups).collect()
}

/// Reads the list of variants: lines of a kernel, its formats, and `+subgroups` where each also comes with those;
/// `#` comments.
#[must_use]
pub(crate) fn variants(list: &str) -> Vec<Variant> {
    let mut found = Vec::new();
    for line in list.lines().filter(|l| !l.starts_with('#')) {
        let mut words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let both = words.pop_if(|last| last == SUBGROUPS).is_some();
        let mut words = words.into_iter();
        let Some(kernel) = words.next() else { continue };
        let formats: Vec<_> = words.map(Some).collect();
        for format in if formats.is_empty() { vec![None] } else { formats } {
            for subgroups in [false, true].into_iter().take(1 + usize::from(both)) {
                found.push(Variant { kernel: kernel.clone(), format: format.clone(), subgroups });
            }
        }
    }
    found
}
