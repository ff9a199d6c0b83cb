//! GGUF files, versions 2 and 3: a header of metadata and tensors, then the tensors' blocks.
//!
//! Nothing of a header is believed: every count is held against the bytes that are there before memory is taken for it.

mod blocks;
mod fit;
mod kind;
mod parse;
mod rows;
mod value;

pub use kind::Kind;
pub use parse::{HEADER, Header, TensorInfo, parse};
pub(crate) use rows::{Blocks, Found, Order, Wanted};
pub use value::Value;

use crate::error::{Error, Result};
use crate::source::Source;
use crate::weights::shown;

/// Bytes read first, and by how much more each time they were too few.
const WINDOW: u64 = 1 << 20;
const GROWTH: u64 = 4;
/// Most files of one model.
const SHARDS: u64 = 1024;

/// Reads and checks the header of `file`, and no more of it than that takes.
pub async fn read(source: &dyn Source, file: &str) -> Result<Header> {
    let size = source.size(file).await?;
    let (mut bytes, mut window) = (Vec::new(), WINDOW);
    loop {
        let end = size.min(window);
        bytes.extend(source.read(file, bytes.len() as u64..end).await?);
        if let Some(header) = parse(file, &bytes, size)? {
            return Ok(header);
        }
        if end >= HEADER {
            return Err(Error::Limit { what: format!("header of {file} in bytes"), value: end + 1, limit: HEADER });
        }
        window = (window * GROWTH).min(HEADER);
    }
}

/// The headers of all files of a model, whose first is `file`: others are numbered (`name-00001-of-00003.gguf`).
pub(crate) async fn read_all(source: &dyn Source, file: &str) -> Result<Vec<(String, Header)>> {
    let first = read(source, file).await?;
    let count = first.count(file, "split.count")?.unwrap_or(1).max(1);
    if count > SHARDS {
        return Err(Error::Limit { what: format!("files of {file}"), value: count, limit: SHARDS });
    }
    let total = first.count(file, "split.tensors.count")?;
    let number = |i: u64| format!("-{i:05}-of-{count:05}.gguf");
    let mut headers = vec![(file.to_owned(), first)];
    if count > 1 {
        let malformed = |reason: String| Error::Malformed { file: file.into(), field: "split.no".into(), reason };
        let stem = file.strip_suffix(&number(1)).ok_or_else(|| {
            malformed(format!("{} is not the first of {count} files, whose name ends in {}", shown(file), number(1)))
        })?;
        for i in 1..count {
            let name = format!("{stem}{}", number(i + 1));
            let header = read(source, &name).await?;
            let (no, of) = (header.count(&name, "split.no")?, header.count(&name, "split.count")?);
            if (no, of) != (Some(i), Some(count)) {
                return Err(malformed(format!("{name} says that it is {no:?} of {of:?}, counted from 0")));
            }
            headers.push((name, header));
        }
    }
    let found: u64 = headers.iter().map(|(_, h)| h.tensors.len() as u64).sum();
    if total.is_some_and(|total| total != found) {
        let reason = format!("is {}, {count} files have {found}", total.unwrap_or(0));
        return Err(Error::Malformed { file: file.into(), field: "split.tensors.count".into(), reason });
    }
    Ok(headers)
}
