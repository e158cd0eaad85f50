//! One bounded HTTP request without a body: over `wasi:http` in a component, over a plain socket natively, where tests run it
//! against a real server. Never follows redirects, and never reads more than it was told to.

use std::fmt;
use std::time::Duration;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasi;

/// The methods that change nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// With the body.
    #[default]
    Get,
    /// Without the body.
    Head,
}

/// What to ask.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// How.
    pub method: Method,
    /// Where: `http://…` or `https://…`.
    pub url: &'a str,
    /// How long everything may take together.
    pub timeout: Duration,
    /// How much of the body to read; the rest is dropped.
    pub max_body: usize,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The beginning of the body.
    pub body: Vec<u8>,
    /// Whether there was more.
    pub truncated: bool,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// This is no URL that can be asked.
    Url(&'static str),
    /// The host did not permit the request.
    Denied,
    /// Nobody listens there.
    Refused,
    /// The name is unknown.
    Unresolved,
    /// No route, or the connection could not be made for another reason.
    Unreachable,
    /// It took too long.
    Timeout,
    /// The connection ended in the middle of the answer.
    Closed,
    /// TLS could not be agreed upon, or the certificate is not valid.
    Tls,
    /// What came back is not HTTP.
    Protocol,
    /// Something else, named.
    Other(String),
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(problem) => problem,
            Self::Denied => "request denied by the host",
            Self::Refused => "connection refused",
            Self::Unresolved => "name not found",
            Self::Unreachable => "address not reachable",
            Self::Timeout => "no answer in time",
            Self::Closed => "connection closed before the answer was complete",
            Self::Tls => "TLS failed",
            Self::Protocol => "answer is not HTTP",
            Self::Other(problem) => problem,
        })
    }
}

impl std::error::Error for HttpError {}

/// Sends `request` and waits for the answer.
pub fn send(request: &Request<'_>) -> Result<Response, HttpError> {
    let url = Url::parse(request.url)?;
    #[cfg(target_family = "wasm")]
    return wasi::send(request, &url);
    #[cfg(not(target_family = "wasm"))]
    return native::send(request, &url);
}

/// The parts of a URL that a request needs.
#[derive(Debug, PartialEq, Eq)]
struct Url<'a> {
    secure: bool,
    authority: &'a str,
    /// With the query, always with a leading `/`.
    path: String,
}

impl<'a> Url<'a> {
    fn parse(url: &'a str) -> Result<Self, HttpError> {
        let (secure, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(HttpError::Url("address must begin with `http://` or `https://`")),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() {
            return Err(HttpError::Url("address names no server"));
        }
        if authority.contains('@') {
            return Err(HttpError::Url("address must not carry a user name"));
        }
        if url.contains(|c: char| c.is_control() || c == ' ') {
            return Err(HttpError::Url("address contains a space or a control character"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { secure, authority, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, authority, path) in [
            ("http://127.0.0.1:8000/healthz", "127.0.0.1:8000", "/healthz"),
            ("http://[::1]:80", "[::1]:80", "/"),
            ("http://a?b=/c#d", "a", "/?b=/c"),
        ] {
            let expected = Url { secure: false, authority, path: path.to_owned() };
            assert_eq!(Url::parse(url), Ok(expected), "{url}");
        }
        assert!(Url::parse("https://a/").unwrap().secure);
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for url in [
            "",
            "localhost:8000",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://a:b@c/",
            "http://a/b c",
            "http://a/\r\nx:y",
        ] {
            assert!(matches!(Url::parse(url), Err(HttpError::Url(_))), "{url:?}");
        }
    }
}
