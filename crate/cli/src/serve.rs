//! `serve`: a folder over HTTP on this machine, as a static host would, with the headers that threads in a page need.

use std::net::Ipv4Addr;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use moebius_engine::{Error, Result};
use tokio::net::TcpListener;
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::args;
use crate::disk::file_error;

/// The usual port, and how many after it are tried.
const PORT: u16 = 8080;
const OTHERS: u16 = 100;

/// Cross-origin isolation, as `SharedArrayBuffer` wants it, no guessing of types, and a look at the file at every load.
const HEADERS: [(HeaderName, &str); 5] = [
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "no-cache"),
];

/// Serves until interrupted.
pub(crate) fn serve(arguments: &args::Serve) -> Result<()> {
    if !arguments.dir.is_dir() {
        return Err(file_error(&arguments.dir, "no such folder"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(network)?;
    runtime.block_on(async {
        let listener = listen(arguments.port).await?;
        let address = listener.local_addr().map_err(network)?;
        println!("http://localhost:{}/", address.port());
        let mut router = Router::new().fallback_service(ServeDir::new(&arguments.dir)).layer(from_fn(visible));
        for (name, value) in HEADERS {
            router = router.layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value)));
        }
        axum::serve(listener, router).with_graceful_shutdown(interrupted()).await.map_err(network)
    })
}

/// The port asked for, or the first free one from the usual on.
async fn listen(port: Option<u16>) -> Result<TcpListener> {
    let candidates = port.map_or(PORT..=PORT + OTHERS, |port| port..=port);
    let mut error = None;
    for port in candidates {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(e) => error = Some(format!("{port}: {e}")),
        }
    }
    Err(Error::Request { field: "port".into(), reason: error.unwrap_or_default() })
}

/// Hidden files are nobody's business.
async fn visible(request: Request, next: Next) -> Response {
    if hidden(request.uri()) { StatusCode::NOT_FOUND.into_response() } else { next.run(request).await }
}

fn hidden(uri: &Uri) -> bool {
    let dot = |segment: &str| segment.starts_with('.') || segment.to_ascii_lowercase().starts_with("%2e");
    uri.path().split('/').any(dot)
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler the signal ends the process by itself.
        std::future::pending::<()>().await;
    }
}

fn network(error: std::io::Error) -> Error {
    Error::File { file: "network".into(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_are_hidden_however_they_are_spelt() {
        for path in ["/.git/config", "/www/.x", "/%2Egit/config", "/%2e%2e/x", "/a/../b"] {
            assert!(hidden(&Uri::from_static(path)), "{path}");
        }
        for path in ["/", "/index.html", "/www/pkg/a.b.js", "/www/model/moebius.json"] {
            assert!(!hidden(&Uri::from_static(path)), "{path}");
        }
    }
}
