//! Where fetched models are kept: a folder for each repository and commit, or for each URL.

use std::fs;
use std::path::{Path, PathBuf};

use moebius_engine::weights::hex;
use moebius_engine::{Error, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::disk::file_error;

/// A folder of the cache.
pub(crate) struct Cache {
    root: PathBuf,
    folder: PathBuf,
    /// Where the hub's own tools keep the same repository, and then the same commit.
    pub(super) beside: Option<PathBuf>,
}

impl Cache {
    /// That of a hub's repository, at no commit yet.
    pub(crate) fn of(hub: &str, id: &str) -> Result<Self> {
        let host = hub.split_once("://").map_or(hub, |(_, host)| host).replace([':', '/'], "_");
        let root = home()?.join(host).join(id);
        let beside = hub_home().map(|home| home.join(format!("models--{}", id.replace('/', "--"))).join("snapshots"));
        Ok(Cache { folder: root.clone(), root, beside })
    }

    /// That of a URL's folder.
    pub(crate) fn of_url(base: &str) -> Result<Self> {
        let name = hex(&Sha256::digest(base)[..8]);
        let root = home()?.join("url").join(name);
        fs::create_dir_all(&root).map_err(|e| file_error(&root, e))?;
        Ok(Cache { folder: root.clone(), root, beside: None })
    }

    /// The commit that a revision was when it was last asked for.
    pub(crate) fn commit(&self, revision: &str) -> Option<String> {
        fs::read_to_string(self.root.join("refs").join(revision.replace('/', "_"))).ok()
    }

    /// The same at a commit, which is what the revision is now if that was `asked`.
    pub(crate) fn at(mut self, revision: &str, commit: &str, asked: bool) -> Result<Self> {
        self.folder = self.root.join(commit);
        self.beside = self.beside.map(|beside| beside.join(commit));
        let refs = self.root.join("refs");
        for folder in [&self.folder, &refs] {
            fs::create_dir_all(folder).map_err(|e| file_error(folder, e))?;
        }
        if asked {
            let file = refs.join(revision.replace('/', "_"));
            fs::write(&file, commit).map_err(|e| file_error(&file, e))?;
        }
        Ok(self)
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn list_file(&self) -> PathBuf {
        self.folder.with_extension("list.json")
    }

    /// The list of the commit's files, kept since it never changes.
    pub(crate) fn list(&self) -> Option<Vec<Value>> {
        serde_json::from_slice(&fs::read(self.list_file()).ok()?).ok()
    }

    /// Keeps it.
    pub(crate) fn keep_list(&self, list: &[Value]) -> Result<()> {
        let file = self.list_file();
        fs::write(&file, json!(list).to_string()).map_err(|e| file_error(&file, e))
    }
}

/// A folder that the environment names.
fn set(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where the hub's own tools keep what they fetch.
fn hub_home() -> Option<PathBuf> {
    let system = || Some(set("HOME")?.join(".cache").join("huggingface"));
    set("HF_HUB_CACHE").or_else(|| Some(set("HF_HOME").or_else(system)?.join("hub")))
}

/// The cache's folder: `MOEBIUS_CACHE`, or `moebius` where the system has caches.
fn home() -> Result<PathBuf> {
    let system = set("XDG_CACHE_HOME").or_else(|| set("LOCALAPPDATA")).or_else(|| Some(set("HOME")?.join(".cache")));
    let missing =
        || Error::Request { field: "MOEBIUS_CACHE".into(), reason: "is not set, and there is no HOME".into() };
    set("MOEBIUS_CACHE").or_else(|| Some(system?.join("moebius"))).ok_or_else(missing)
}
