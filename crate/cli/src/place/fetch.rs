//! How a file comes into the cache: into `NAME.part`, going on from there after a cut; it gets its name when it is whole and checked.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use moebius_engine::Result;
use moebius_engine::model::{Progress, Stage};
use moebius_engine::weights::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::cache::Cache;
use super::http::{Http, TRIES, copy, encoded};
use crate::disk::{file_error, inside};
use crate::load::Percent;

/// A file to fetch: its size and the SHA-256 of its bytes, as far as the hub tells them.
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) bytes: Option<u64>,
    pub(crate) sha256: Option<String>,
}

impl Wanted {
    /// An entry of the hub's list that is a file.
    pub(crate) fn listed(entry: &Value) -> Option<Self> {
        let name = entry["path"].as_str().filter(|_| entry["type"] == "file")?;
        let sha256 = entry["lfs"]["oid"].as_str().map(|oid| oid.trim_start_matches("sha256:").to_owned());
        Some(Wanted { name: name.into(), bytes: entry["size"].as_u64(), sha256 })
    }
}

impl Cache {
    /// A file of the folder at `base`, which must be there.
    pub(crate) fn fetch(&self, http: &Http, base: &str, file: &Wanted) -> Result<PathBuf> {
        self.fetch_if(http, base, file)?.ok_or_else(|| file_error(&file.name, format!("is not at {base}")))
    }

    /// The same, or none where there is none.
    pub(crate) fn fetch_if(&self, http: &Http, base: &str, file: &Wanted) -> Result<Option<PathBuf>> {
        let path = inside(self.folder(), &file.name)?;
        if path.is_file() {
            return Ok(Some(path));
        }
        let wrong = |e: std::io::Error| file_error(&file.name, e);
        fs::create_dir_all(path.parent().unwrap_or(self.folder())).map_err(wrong)?;
        let part = inside(self.folder(), &format!("{}.part", file.name))?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&part);
        let mut part_file = open.map_err(wrong)?;
        // Another process that fetches the same is waited for.
        part_file.lock().map_err(wrong)?;
        if path.is_file() {
            return Ok(Some(path));
        }
        if !self.borrowed(file, &mut part_file).map_err(wrong)? {
            let url = format!("{base}{}", encoded(&file.name));
            if !fill(http, &url, file, (&mut part_file, &tag_file(&part)))? {
                drop(fs::remove_file(&part));
                return Ok(None);
            }
        }
        part_file.sync_all().map_err(wrong)?;
        fs::rename(&part, &path).map_err(wrong)?;
        drop(fs::remove_file(tag_file(&part)));
        Ok(Some(path))
    }

    /// Takes a file that the hub's own tools have fetched already. Whether there is one, with the bytes that the hub promises.
    fn borrowed(&self, file: &Wanted, part: &mut File) -> std::io::Result<bool> {
        let (Some(beside), Some(bytes), 0) = (&self.beside, file.bytes, part.metadata()?.len()) else {
            return Ok(false);
        };
        let Ok(mut theirs) = File::open(beside.join(&file.name)) else { return Ok(false) };
        if theirs.metadata()?.len() != bytes {
            return Ok(false);
        }
        std::io::copy(&mut theirs, part)?;
        Ok(check(file, part).is_ok())
    }
}

/// Fetches what is missing of a file, in several goes if the connection is cut. Whether there is such a file.
fn fill(http: &Http, url: &str, file: &Wanted, (part, tags): (&mut File, &Path)) -> Result<bool> {
    let wrong = |e: std::io::Error| file_error(&file.name, e);
    let mut percent = Percent::new("fetching");
    for left in (0..TRIES).rev() {
        let mut have = part.seek(SeekFrom::End(0)).map_err(wrong)?;
        let tag = fs::read_to_string(tags).ok();
        // Without a commit or a tag nobody knows that the rest is of the same file.
        if file.bytes.is_none() && tag.is_none() || file.bytes.is_some_and(|bytes| have > bytes) {
            have = 0;
        }
        if file.bytes == Some(have) && have > 0 {
            break;
        }
        let answer = http.get(&file.name, url, have, tag.as_deref(), TRIES)?;
        match answer.status().as_u16() {
            200 => have = 0,
            206 if starts_at(&answer, have) => {}
            404 if file.bytes.is_none() => return Ok(false),
            // More was asked for than there is, or something else: from the start.
            206 | 416 if left > 0 => {
                part.set_len(0).map_err(wrong)?;
                continue;
            }
            _ => return Err(http.refused(&file.name, url, answer.status())),
        }
        part.set_len(have).map_err(wrong)?;
        part.seek(SeekFrom::End(0)).map_err(wrong)?;
        if let Some(tag) = answer.headers().get("etag").and_then(|tag| tag.to_str().ok()) {
            fs::write(tags, tag).map_err(wrong)?;
        }
        if let Some(encoding) = answer.headers().get("content-encoding").filter(|encoding| *encoding != "identity") {
            return Err(file_error(
                &file.name,
                format!("{url} comes compressed ({encoding:?}), though it was asked not to"),
            ));
        }
        let coming =
            answer.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let total = file.bytes.or(coming.map(|coming| have + coming));
        let copied = copy(&mut answer.into_body().into_reader(), |bytes| {
            have += bytes.len() as u64;
            percent.show(Progress { stage: Stage::Trunk, done: have, total: total.unwrap_or(have) });
            part.write_all(bytes)
        });
        if copied.is_ok() && total.is_none_or(|total| total == have) {
            break;
        }
        if left == 0 {
            let why = copied.err().map_or("the connection was cut".into(), |e| e.to_string());
            return Err(file_error(&file.name, format!("{have} bytes are there and kept: {why}")));
        }
    }
    percent.end();
    check(file, part)?;
    Ok(true)
}

/// Refuses bytes that are not those that the hub promised, and forgets them.
fn check(file: &Wanted, part: &mut File) -> Result<()> {
    let wrong = |e: std::io::Error| file_error(&file.name, e);
    let Some(promised) = &file.sha256 else { return Ok(()) };
    let mut sha = Sha256::new();
    part.rewind().map_err(wrong)?;
    copy(part, |bytes| {
        sha.update(bytes);
        Ok(())
    })
    .map_err(wrong)?;
    let found = hex(&sha.finalize());
    if found != *promised {
        part.set_len(0).map_err(wrong)?;
        return Err(file_error(
            &file.name,
            format!("its SHA-256 is {found}, the hub says {promised}; it was not kept"),
        ));
    }
    Ok(())
}

/// Where the tag is kept of what a part is a part of.
fn tag_file(part: &Path) -> PathBuf {
    part.with_extension("tag")
}

/// Whether an answer has the bytes from `at` on.
fn starts_at(answer: &ureq::http::Response<ureq::Body>, at: u64) -> bool {
    let range = answer.headers().get("content-range").and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {at}-")))
}
