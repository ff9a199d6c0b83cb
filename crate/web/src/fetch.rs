//! A folder of files on a web host as a [`Source`], with the faults of hosts in mind.
//!
//! One closed range a request, which browsers send to other origins without asking first. Bytes are counted here: a
//! `Content-Length` may be that of a compressed body. What breaks on the way is asked for again, from where it broke.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use async_trait::async_trait;
use gloo_net::http::{Request, Response};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Function, Reflect, Uint8Array};
use moebius_engine::source::Source;
use moebius_engine::{Error, Result};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::ReadableStreamDefaultReader;

/// Bytes asked for beyond what is wanted: at first, and at most after reads that follow one another.
const AHEAD: Range<u64> = 256 << 10..8 << 20;
/// Files up to this size, which those of packs are, come whole: caches keep whole files best.
const WHOLE: u64 = 32 << 20;
/// Waits before another attempt, in milliseconds, while attempts bring no new byte.
const PAUSES: [u32; 4] = [300, 1000, 3000, 8000];

/// A model's folder on a web host.
pub(crate) struct Fetch {
    /// URL of the folder, with its closing slash.
    base: String,
    /// The .gguf in it that is the model, and what stands behind its name in its URL.
    gguf: Option<(String, String)>,
    /// What the host is to be shown.
    token: Option<String>,
    files: RefCell<BTreeMap<String, File>>,
    /// Called with bytes loaded, bytes in all files seen so far, and the file's name.
    progress: Function,
    loaded: Cell<u64>,
    /// Why the host was given up. A reader that asks whether a file exists would take it for a missing file.
    lost: RefCell<Option<Error>>,
    /// A web page that came in place of a file. Hosts answer so for files they lack, so it need not mean anything.
    page: RefCell<Option<Error>>,
}

/// Stretches kept of a file: a GGUF's experts are read from three places by turns.
const STRETCHES: usize = 3;

/// What is known of a file: its size, and the last stretches of it that were fetched, the newest first.
struct File {
    size: u64,
    stretches: VecDeque<Stretch>,
}

/// A stretch of a file, and how far ahead was read for it.
struct Stretch {
    start: u64,
    bytes: Vec<u8>,
    ahead: u64,
}

impl File {
    /// The bytes of `range`, if they are at hand.
    fn part(&mut self, range: &Range<u64>) -> Option<Vec<u8>> {
        let at = self.stretches.iter().position(|stretch| stretch.part(range).is_some())?;
        let stretch = self.stretches.remove(at)?;
        let part = stretch.part(range);
        self.stretches.push_front(stretch);
        part
    }

    /// What to fetch in order to read `range`, in the place of the stretch that it goes on from, if it does.
    fn stretch(&mut self, range: &Range<u64>) -> (Range<u64>, u64) {
        if self.size <= WHOLE {
            return (0..self.size, AHEAD.start);
        }
        let follows = |s: &Stretch| range.start >= s.start && range.start <= s.start + s.bytes.len() as u64;
        let before = self.stretches.iter().position(follows).and_then(|at| self.stretches.remove(at));
        let ahead = before.map_or(AHEAD.start, |before| (2 * before.ahead).min(AHEAD.end));
        (range.start..range.end.saturating_add(ahead).min(self.size), ahead)
    }
}

impl Stretch {
    /// The bytes of `range`, if they are at hand.
    fn part(&self, range: &Range<u64>) -> Option<Vec<u8>> {
        let from = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..to).map(<[u8]>::to_vec)
    }
}

/// What an attempt to fetch brought.
enum Failure {
    /// Worth another attempt.
    Passing(String),
    /// Not.
    Final(Error),
}

/// A body and where it stands in its file.
struct Body {
    start: u64,
    bytes: Vec<u8>,
    /// Size of the file, where the host says it.
    size: Option<u64>,
}

impl Fetch {
    /// The folder or the .gguf at `url`. `progress` is called with bytes loaded, bytes in all files seen so far, and the file.
    pub(crate) fn new(url: &str, token: Option<String>, progress: Function) -> Self {
        let (path, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
        let (base, name) = path.split_at(path.rfind('/').map_or(0, |at| at + 1));
        let name = js_sys::decode_uri_component(name).map_or_else(|_| name.to_owned(), String::from);
        Fetch {
            base: base.to_owned(),
            gguf: (!name.is_empty()).then(|| (name, query.to_owned())),
            token,
            files: RefCell::default(),
            progress,
            loaded: Cell::new(0),
            lost: RefCell::default(),
            page: RefCell::default(),
        }
    }

    /// What is to be told when loading failed with `error`: what the host did, if that explains it.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let page = self.page.borrow().clone().filter(|_| matches!(error, Error::File { .. }));
        self.lost.borrow().clone().or(page).unwrap_or(error)
    }

    /// Gives the host up.
    fn lose(&self, file: &str, reason: impl std::fmt::Display) -> Error {
        let error = self.failed(file, reason);
        *self.lost.borrow_mut() = Some(error.clone());
        error
    }

    fn failed(&self, file: &str, reason: impl std::fmt::Display) -> Error {
        Error::File { file: file.into(), reason: format!("{reason} ({}{file})", self.base) }
    }

    /// The file's URL. Names come from files of the model, so they are kept inside its folder.
    fn url(&self, file: &str) -> Result<String> {
        let mut url = self.base.clone();
        for (i, part) in file.split('/').enumerate() {
            if matches!(part, "" | "." | "..") {
                return Err(self.failed(file, "not a name inside the model's folder"));
            }
            if i > 0 {
                url.push('/');
            }
            url += &String::from(js_sys::encode_uri_component(part));
        }
        url += self.gguf.as_ref().map_or("", |(_, query)| query);
        Ok(url)
    }

    /// Fetches `range`, or the whole file if the host knows no ranges. `range` may end after the file does.
    async fn fetch(&self, file: &str, range: Range<u64>) -> Result<Body> {
        if let Some(lost) = self.lost.borrow().clone() {
            return Err(lost);
        }
        let url = self.url(file)?;
        let mut body = Body { start: range.start, bytes: Vec::new(), size: None };
        let mut pauses = PAUSES.iter();
        loop {
            let before = body.bytes.len();
            let reason = match self.attempt(file, &url, &range, &mut body).await {
                Ok(()) => return Ok(body),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(reason)) => reason,
            };
            if body.bytes.len() > before {
                pauses = PAUSES.iter();
            }
            let Some(pause) = pauses.next() else { return Err(self.lose(file, reason)) };
            TimeoutFuture::new(*pause).await;
        }
    }

    /// One request for what `body` still lacks of `range`.
    async fn attempt(
        &self,
        file: &str,
        url: &str,
        range: &Range<u64>,
        body: &mut Body,
    ) -> std::result::Result<(), Failure> {
        let fatal = |reason: String| Failure::Final(self.failed(file, reason));
        let from = body.start + body.bytes.len() as u64;
        let mut request = Request::get(url).header("Range", &format!("bytes={from}-{}", range.end - 1));
        if let Some(token) = &self.token {
            // Browsers leave it out where the host sends them on to another.
            request = request.header("Authorization", &format!("Bearer {token}"));
        }
        let response = request.send().await.map_err(|e| Failure::Passing(format!("the host was not reached: {e}")))?;
        let kind = response.headers().get("Content-Type").unwrap_or_default();
        let (span, size) = content_range(&response);
        match response.status() {
            200 => {
                // No ranges here: this is the whole file, from its start.
                *body = Body { start: 0, bytes: Vec::new(), size: None };
            }
            206 if span.as_ref().is_some_and(|span| span.start != from) => {
                let reason = format!("the host sent other bytes than {from} and on");
                return Err(Failure::Final(self.lose(file, reason)));
            }
            206 => body.size = size,
            416 if size == Some(from) => {
                body.size = size;
                return Ok(());
            }
            status @ (408 | 425 | 429 | 500..) => return Err(Failure::Passing(format!("HTTP status {status}"))),
            404 => return Err(fatal("no such file: HTTP status 404".into())),
            status => return Err(fatal(format!("HTTP status {status}"))),
        }
        if kind.starts_with("text/html") {
            let error = self.failed(file, "the host answered with a web page in place of the file");
            *self.page.borrow_mut() = Some(error.clone());
            return Err(Failure::Final(error));
        }
        if response.status() == 200 {
            self.receive(file, &response, body, u64::MAX).await?;
            body.size = Some(body.bytes.len() as u64);
            return Ok(());
        }
        let end = body.size.map_or(range.end, |size| range.end.min(size));
        self.receive(file, &response, body, end - body.start).await?;
        let got = body.bytes.len() as u64;
        // Without a size, a body that ends early may be the end of the file or of the connection: `size` asks further.
        if body.size.is_some() && got < end - body.start {
            return Err(Failure::Passing(format!("the connection ended after {got} of {} bytes", end - body.start)));
        }
        Ok(())
    }

    /// Appends the response's bytes to `body`, which may have `limit` bytes at most.
    async fn receive(
        &self,
        file: &str,
        response: &Response,
        body: &mut Body,
        limit: u64,
    ) -> std::result::Result<(), Failure> {
        let broke = |e: JsValue| Failure::Passing(format!("the connection broke: {}", text(&e)));
        let Some(stream) = response.body() else { return Ok(()) };
        let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
        loop {
            let chunk = JsFuture::from(reader.read()).await.map_err(broke)?;
            let Ok(bytes) = Reflect::get(&chunk, &"value".into()).unwrap_or_default().dyn_into::<Uint8Array>() else {
                return Ok(());
            };
            let (old, more) = (body.bytes.len(), bytes.length() as usize);
            if (old + more) as u64 > limit {
                let reason = format!("the host sent more than the {limit} bytes asked for");
                return Err(Failure::Final(self.lose(file, reason)));
            }
            body.bytes
                .try_reserve(more)
                .map_err(|_| Failure::Final(self.failed(file, format!("no memory for {} bytes", old + more))))?;
            body.bytes.resize(old + more, 0);
            bytes.copy_to(&mut body.bytes[old..]);
            self.loaded.set(self.loaded.get() + more as u64);
            self.report(file);
        }
    }

    fn report(&self, file: &str) {
        let total: u64 = self.files.borrow().values().map(|f| f.size).sum();
        let loaded = self.loaded.get().min(total);
        // A page that throws on being told is its own affair.
        let _ = self.progress.call3(&JsValue::NULL, &(loaded as f64).into(), &(total as f64).into(), &file.into());
    }

    /// Keeps a stretch of a file, in place of other files' stretches and of its own oldest: that bounds the memory.
    fn keep(&self, file: &str, body: Body, ahead: u64) {
        let mut files = self.files.borrow_mut();
        for (_, other) in files.iter_mut().filter(|(name, _)| *name != file) {
            other.stretches.clear();
        }
        if let Some(known) = files.get_mut(file) {
            known.stretches.truncate(if known.size <= WHOLE { 0 } else { STRETCHES - 1 });
            known.stretches.push_front(Stretch { start: body.start, bytes: body.bytes, ahead });
        }
    }

    /// The size that the host's answer to HEAD gives: for hosts that hide `Content-Range` from other origins.
    async fn head(&self, file: &str) -> Result<u64> {
        let request = gloo_net::http::RequestBuilder::new(&self.url(file)?).method(gloo_net::http::Method::HEAD);
        let response = request.send().await.map_err(|e| self.failed(file, format!("the host was not reached: {e}")))?;
        let length = response.headers().get("Content-Length").and_then(|n| n.parse().ok());
        length.ok_or_else(|| self.failed(file, "the host does not say how long the file is"))
    }
}

#[async_trait(?Send)]
impl Source for Fetch {
    async fn size(&self, file: &str) -> Result<u64> {
        if let Some(known) = self.files.borrow().get(file) {
            return Ok(known.size);
        }
        let body = self.fetch(file, 0..AHEAD.start).await?;
        let size = match body.size {
            Some(size) => size,
            None if (body.bytes.len() as u64) < AHEAD.start => body.bytes.len() as u64,
            None => self.head(file).await?,
        };
        let known = File { size, stretches: VecDeque::new() };
        self.files.borrow_mut().insert(file.into(), known);
        self.keep(file, body, AHEAD.start);
        Ok(size)
    }

    fn gguf(&self) -> Option<&str> {
        self.gguf.as_ref().map(|(name, _)| name.as_str())
    }

    async fn read(&self, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
        let size = self.size(file).await?;
        if range.start > range.end || range.end > size {
            let reason = format!("bytes {}..{} asked of a file of {size}", range.start, range.end);
            return Err(self.failed(file, reason));
        }
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let (stretch, ahead) = {
            let mut files = self.files.borrow_mut();
            let known = files.get_mut(file).ok_or_else(|| self.failed(file, "forgotten while it was read"))?;
            if let Some(part) = known.part(&range) {
                return Ok(part);
            }
            known.stretch(&range)
        };
        let body = self.fetch(file, stretch).await?;
        if body.size.is_some_and(|now| now != size) {
            return Err(self.failed(file, "the file changed while it was read"));
        }
        self.keep(file, body, ahead);
        let part = self.files.borrow_mut().get_mut(file).and_then(|known| known.part(&range));
        part.ok_or_else(|| self.failed(file, format!("the host sent less than bytes {}..{}", range.start, range.end)))
    }
}

/// The span and the file's size of a `Content-Range`, as far as the host lets them be seen.
fn content_range(response: &Response) -> (Option<Range<u64>>, Option<u64>) {
    let header = response.headers().get("Content-Range").unwrap_or_default();
    let Some((span, size)) = header.trim().strip_prefix("bytes ").and_then(|rest| rest.split_once('/')) else {
        return (None, None);
    };
    let span = span.split_once('-').and_then(|(a, b)| Some(a.parse().ok()?..b.parse::<u64>().ok()?.checked_add(1)?));
    (span, size.parse().ok())
}

/// What JavaScript says of an error.
fn text(error: &JsValue) -> String {
    let object: &js_sys::Object = error.unchecked_ref();
    object.to_string().into()
}
