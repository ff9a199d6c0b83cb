//! A model on disk as a `Source`, a folder or a .gguf, and other files that commands read.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use moebius_engine::source::Source;
use moebius_engine::{Error, Result};

use crate::place::{self, Of};

/// A folder, or a .gguf in one.
pub(crate) struct Disk {
    root: PathBuf,
    gguf: Option<String>,
}

impl Disk {
    /// The model at `place`: a folder or a .gguf, which must be there; or what is fetched first ([`place::local`]).
    pub(crate) fn open(place: &Path) -> Result<Self> {
        Disk::with(place, Of::Whole)
    }

    /// The same for who reads no weights.
    pub(crate) fn texts(place: &Path) -> Result<Self> {
        Disk::with(place, Of::Texts)
    }

    fn with(place: &Path, of: Of) -> Result<Self> {
        let path = &*place::local(place, of)?;
        if path.is_dir() {
            return Ok(Disk { root: path.to_owned(), gguf: None });
        }
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|name| path.is_file() && name.to_lowercase().ends_with(".gguf")) {
            let root = path.parent().unwrap_or(Path::new("")).to_owned();
            return Ok(Disk { root, gguf: Some(name.into()) });
        }
        Err(file_error(path, if path.exists() { "neither a folder nor a .gguf" } else { "no such folder" }))
    }

    /// Path of a file named by a model: inside the folder, whatever the name says.
    fn path(&self, name: &str) -> Result<PathBuf> {
        inside(&self.root, name)
    }

    fn file(&self, name: &str) -> Result<(File, u64)> {
        let file = File::open(self.path(name)?).map_err(|e| file_error(name, e))?;
        let meta = file.metadata().map_err(|e| file_error(name, e))?;
        if meta.is_file() { Ok((file, meta.len())) } else { Err(file_error(name, "not a file")) }
    }
}

#[async_trait(?Send)]
impl Source for Disk {
    async fn size(&self, file: &str) -> Result<u64> {
        Ok(self.file(file)?.1)
    }

    fn gguf(&self) -> Option<&str> {
        self.gguf.as_deref()
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let (mut from, size) = self.file(file)?;
        if range.start > range.end || range.end > size {
            let reason = format!("bytes {}..{} asked of a file of {size}", range.start, range.end);
            return Err(file_error(file, reason));
        }
        let length = usize::try_from(range.end - range.start).map_err(|e| file_error(file, e))?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|e| file_error(file, e))?;
        bytes.resize(length, 0);
        from.seek(SeekFrom::Start(range.start)).map_err(|e| file_error(file, e))?;
        from.read_exact(&mut bytes).map_err(|e| file_error(file, e))?;
        Ok(bytes)
    }
}

/// Path of a file of a folder: inside it, whatever the name says.
pub(crate) fn inside(folder: &Path, name: &str) -> Result<PathBuf> {
    let inside = Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
    if inside && !name.is_empty() { Ok(folder.join(name)) } else { Err(file_error(name, "leaves the folder")) }
}

/// A text named on the command line.
pub(crate) fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| file_error(path, e))
}

/// An error at a file.
pub(crate) fn file_error(file: impl AsRef<Path>, reason: impl std::fmt::Display) -> Error {
    Error::File { file: file.as_ref().display().to_string(), reason: reason.to_string() }
}
