//! The repository's files, as git knows them: tracked ones and new ones that are not ignored.

use std::path::Path;
use std::process::Command;

/// A text file and its path from the repository's root.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What counts as source: written by hand, read by people.
const SOURCE: [&str; 9] = ["rs", "wgsl", "js", "mjs", "py", "css", "html", "sh", "toml"];

impl File {
    /// A file for a rule's own test.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn extension(&self) -> &str {
        let name = self.name();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn is_source(&self) -> bool {
        SOURCE.contains(&self.extension())
    }

    pub(crate) fn lines(&self) -> usize {
        self.text.lines().count()
    }
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every text file of the repository, by path.
pub(crate) fn tracked() -> Vec<File> {
    let list = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap_or_else(|e| panic!("git did not start: {e}"));
    assert!(list.status.success(), "git ls-files: {}", String::from_utf8_lossy(&list.stderr));
    let names = String::from_utf8(list.stdout).unwrap_or_else(|e| panic!("a path is not UTF-8: {e}"));
    let read = |path: &str| {
        let bytes = std::fs::read(root().join(path)).ok()?; // listed but deleted in the work tree
        Some(File { path: path.to_owned(), text: String::from_utf8(bytes).ok()? })
    };
    let mut paths: Vec<&str> = names.split_terminator('\0').collect();
    paths.sort_unstable();
    paths.dedup();
    paths.into_iter().filter_map(read).collect()
}
