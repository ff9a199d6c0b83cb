//! Collecting one by one: `collect` into an ordered map sorts first, by code that is as long again for every type of item.

/// What these items make.
pub(crate) fn gather<T, All: Default + Extend<T>>(items: impl IntoIterator<Item = T>) -> All {
    let mut all = All::default();
    all.extend(items);
    all
}
