//! Folders of files as the engine reads them.

use std::path::Path;

use moebius_engine::source::Memory;
use moebius_tests::fixture;

/// A fixture's folder, read into memory.
pub(crate) fn folder(name: &str) -> Memory {
    read(&fixture(name))
}

/// A folder, read into memory.
pub(crate) fn read(path: &Path) -> Memory {
    let mut memory = Memory::default();
    for entry in std::fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
        let entry = entry.unwrap().path();
        if entry.is_file() {
            memory.insert(file_name(&entry), std::fs::read(&entry).unwrap());
        }
    }
    memory
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().into()
}
