//! Models that are elsewhere: `hf:owner/name`, with `/file.gguf` or `:KIND` of one and `@revision`, and URLs. They are fetched into a
//! cache, as of one commit, and read from there.

mod cache;
mod fetch;
mod http;
mod names;

use std::path::{Path, PathBuf};

use moebius_engine::weights::{MANIFEST, Manifest};
use moebius_engine::{Error, Result};
use serde_json::Value;

use self::cache::Cache;
use self::fetch::Wanted;
use self::http::{Http, TRIES, encoded};
use self::names::{Name, choose, parts};
use crate::disk::file_error;

/// Texts of a folder; those that are there.
const TEXTS: [&str; 4] = ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
const INDEX: &str = "model.safetensors.index.json";
/// Most pages of a list of files.
const PAGES: usize = 20;

/// What is wanted of a model: of a .gguf, where they stand before the weights, all of it either way.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Of {
    /// Everything.
    Whole,
    /// Its configuration, tokenizer and template.
    Texts,
}

/// The place on this machine of the model that `path` names: itself, or where it is once what is wanted of it has been fetched.
pub(crate) fn local(path: &Path, of: Of) -> Result<PathBuf> {
    match path.to_str() {
        Some(name) if name.starts_with("hf:") => repository(name, of),
        Some(url) if url.starts_with("https://") || url.starts_with("http://") => address(url, of),
        _ => Ok(path.to_owned()),
    }
}

/// Fetches a repository's model, as it is at the commit that its revision is now.
fn repository(name: &str, of: Of) -> Result<PathBuf> {
    let request = || Error::Request {
        field: "model".into(),
        reason: format!("{name} is not hf:owner/name, with /file.gguf, :KIND or @revision"),
    };
    let Name { id, file, kind, revision } = Name::new(name).ok_or_else(request)?;
    let http = Http::of_hub();
    let hub = http.hub.clone();
    let cache = Cache::of(&hub, id)?;
    // Who has fetched it before does not wait for a hub that is away.
    let tries = if cache.commit(revision).is_some() { 1 } else { TRIES };
    let asked =
        http.json(name, &format!("{hub}/api/models/{id}/revision/{}", encoded(revision).replace('/', "%2F")), tries);
    let commit = match &asked {
        Ok((answer, _)) => answer["sha"].as_str().unwrap_or_default().to_owned(),
        Err(why) => {
            // What it was at last will do.
            let Some(commit) = cache.commit(revision) else { return Err(why.clone()) };
            eprintln!("{why}; taking what was fetched before");
            commit
        }
    };
    if commit.len() != 40 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(file_error(name, "the hub names no commit"));
    }
    let cache = cache.at(revision, &commit, asked.is_ok())?;
    let base = format!("{hub}/{id}/resolve/{commit}/");
    let listed = match cache.list() {
        Some(list) => list,
        None => {
            let mut list = Vec::new();
            let mut next = Some(format!("{hub}/api/models/{id}/tree/{commit}?recursive=true"));
            for _ in 0..PAGES {
                let Some(url) = next else { break };
                let (answer, after) = http.json(name, &url, TRIES)?;
                list.extend(answer.as_array().cloned().unwrap_or_default());
                // The next page is the hub's own, or none.
                next = after.filter(|after| after.starts_with(&format!("{hub}/")));
            }
            cache.keep_list(&list)?;
            list
        }
    };
    let files: Vec<Wanted> = listed.iter().filter_map(Wanted::listed).collect();
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let fetch = |name: &str| match files.iter().find(|file| file.name == name) {
        Some(file) => cache.fetch(&http, &base, file).map(Some),
        None => Ok(None),
    };
    let gguf = match file {
        Some(file) => Some(file.to_owned()),
        None => choose(name, &names, kind)?,
    };
    model(cache.folder(), (name, of), gguf.as_deref(), &fetch)
}

/// Fetches a model by the URL of its folder or of a .gguf.
fn address(url: &str, of: Of) -> Result<PathBuf> {
    let plain = url.split(['?', '#']).next().unwrap_or(url);
    let (base, gguf) = match plain.rsplit_once('/') {
        Some((base, file)) if file.to_lowercase().ends_with(".gguf") => (format!("{base}/"), Some(file)),
        _ => (format!("{}/", plain.trim_end_matches('/')), None),
    };
    let http = Http::plain();
    let cache = Cache::of_url(&base)?;
    let fetch = |name: &str| cache.fetch_if(&http, &base, &Wanted { name: name.into(), bytes: None, sha256: None });
    model(cache.folder(), (url, of), gguf, &fetch)
}

/// Fetches what a model consists of, or what is wanted of it; its place.
fn model(
    folder: &Path,
    (name, of): (&str, Of),
    gguf: Option<&str>,
    fetch: &dyn Fn(&str) -> Result<Option<PathBuf>>,
) -> Result<PathBuf> {
    let need = |file: &str| fetch(file)?.ok_or_else(|| file_error(name, format!("has no {file}")));
    if let Some(gguf) = gguf {
        for part in parts(gguf) {
            need(&part)?;
        }
        return Ok(folder.join(gguf));
    }
    if let Some(path) = fetch(MANIFEST)? {
        let manifest = Manifest::parse(&std::fs::read(path).map_err(|e| file_error(MANIFEST, e))?)?;
        let shards: &[_] = if of == Of::Whole { &manifest.shards } else { &[] };
        for file in manifest.files.iter().chain(shards) {
            need(&file.name)?;
        }
        return Ok(folder.to_owned());
    }
    need("config.json")?;
    for text in TEXTS {
        fetch(text)?;
    }
    if of == Of::Texts {
        return Ok(folder.to_owned());
    }
    match fetch(INDEX)? {
        None => drop(need("model.safetensors")?),
        Some(path) => {
            let text = crate::disk::text(&path)?;
            let index: Value = serde_json::from_str(&text).map_err(|e| file_error(INDEX, e))?;
            let shards = index["weight_map"].as_object().into_iter().flat_map(|map| map.values());
            let mut shards: Vec<&str> = shards.filter_map(Value::as_str).collect();
            shards.sort_unstable();
            shards.dedup();
            for shard in shards {
                need(shard)?;
            }
        }
    }
    Ok(folder.to_owned())
}
