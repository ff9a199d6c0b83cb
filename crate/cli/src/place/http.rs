//! Requests to a hub or a host of files, with a token where it is the hub's.

use std::io::{self, Read};
use std::time::Duration;

use moebius_engine::{Error, Result};
use serde_json::Value;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

use crate::disk::file_error;

/// The public hub, unless `HF_ENDPOINT` names another.
const HUB: &str = "https://huggingface.co";
/// How often something is tried.
pub(crate) const TRIES: u32 = 5;
/// Longest answer that is not a file, in bytes.
const MAX_JSON: u64 = 64 << 20;

/// A client.
pub(crate) struct Http {
    agent: Agent,
    token: Option<String>,
    /// Address of the hub.
    pub(crate) hub: String,
}

impl Http {
    /// One that shows `HF_TOKEN` to the hub, and to nobody else: redirects lose it.
    pub(crate) fn of_hub() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let hub = set("HF_ENDPOINT").unwrap_or_else(|| HUB.into());
        Http { token: set("HF_TOKEN"), hub: hub.trim_end_matches('/').to_owned(), ..Http::plain() }
    }

    /// One without.
    pub(crate) fn plain() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(30)))
            .user_agent(concat!("moebius/", env!("CARGO_PKG_VERSION")))
            .build();
        Http { agent: config.into(), token: None, hub: String::new() }
    }

    /// An answer, whatever its status, from the byte `from` on of what `tag` says that it was; tried again where a host is in trouble.
    pub(crate) fn get(
        &self,
        name: &str,
        url: &str,
        from: u64,
        tag: Option<&str>,
        tries: u32,
    ) -> Result<Response<Body>> {
        let mut wait = Duration::from_millis(500);
        for left in (0..tries).rev() {
            let mut request = self.agent.get(url).header("accept-encoding", "identity");
            if let Some(token) = self.token.as_ref().filter(|_| url.starts_with(&format!("{}/", self.hub))) {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            if from > 0 {
                request = request.header("range", format!("bytes={from}-"));
            }
            if let Some(tag) = tag.filter(|_| from > 0) {
                request = request.header("if-range", tag);
            }
            match request.call() {
                Ok(answer) if left > 0 && busy(answer.status()) => {
                    let after = answer.headers().get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok());
                    wait = after.map_or(wait, |seconds: u64| Duration::from_secs(seconds.min(60)));
                }
                Ok(answer) => return Ok(answer),
                Err(e) if left == 0 => return Err(file_error(name, format!("{url} was not reached: {e}"))),
                Err(_) => {}
            }
            std::thread::sleep(wait);
            wait *= 2;
        }
        Err(file_error(name, format!("{url} was not reached")))
    }

    /// JSON of the hub, and where its list goes on.
    pub(crate) fn json(&self, name: &str, url: &str, tries: u32) -> Result<(Value, Option<String>)> {
        let answer = self.get(name, url, 0, None, tries)?;
        if !answer.status().is_success() {
            return Err(self.refused(name, url, answer.status()));
        }
        let link = answer.headers().get("link").and_then(|link| link.to_str().ok());
        let next = link.and_then(|link| {
            link.split_once("rel=\"next\"")?.0.rsplit_once('<')?.1.split_once('>').map(|(url, _)| url.to_owned())
        });
        let mut text = Vec::new();
        let read = answer.into_body().into_reader().take(MAX_JSON).read_to_end(&mut text);
        read.map_err(|e| file_error(name, format!("{url}: {e}")))?;
        let json = serde_json::from_slice(&text).map_err(|e| file_error(name, format!("{url}: {e}")))?;
        Ok((json, next))
    }

    /// What a status means.
    pub(crate) fn refused(&self, name: &str, url: &str, status: StatusCode) -> Error {
        let why = match status.as_u16() {
            401 | 403 if self.token.is_some() => {
                "is gated, private or not there: the hub asks for another token than HF_TOKEN has".into()
            }
            401 | 403 => "is gated, private or not there: set HF_TOKEN to a token that may read it".into(),
            404 => "is not there".into(),
            other => format!("HTTP status {other}"),
        };
        file_error(name, format!("{why} ({url})"))
    }
}

/// Whether to ask again later.
fn busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error()
}

/// A path as it stands in a URL.
pub(crate) fn encoded(path: &str) -> String {
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
        other => format!("%{other:02X}"),
    };
    path.bytes().map(byte).collect()
}

/// Reads on where a file was left, whole chunks at a time.
pub(crate) fn copy(from: &mut dyn Read, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut chunk = vec![0; 1 << 18];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(()),
            n => each(&chunk[..n])?,
        }
    }
}
