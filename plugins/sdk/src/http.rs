//! One bounded HTTP request: over `wasi:http` in a component, over a plain socket natively, where tests run it against a
//! real server. Never follows redirects, and never reads more than it was told to.

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

/// A request with a body, such as a question to a model.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// Where: `http://…` or `https://…`.
    pub url: &'a str,
    /// What the body is, such as `application/json`.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// Names, in lower case, of the answer's headers that are wanted.
    pub wanted: &'a [&'a str],
    /// How long everything may take together.
    pub timeout: Duration,
    /// How much of the answer's body to read; the rest is dropped.
    pub max_body: usize,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Of the headers those that were wanted, in lower case.
    pub headers: Vec<(String, String)>,
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
    /// What came back, or what was sent, is larger than the host allows.
    TooLarge,
    /// The host has no secret to send: where the operator said it would be, there is none.
    Secret,
    /// Something else, named.
    Other(String),
}

impl Response {
    /// The first header of this name, in lower case, if it was wanted and came.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
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
            Self::TooLarge => "answer or request is too large",
            Self::Secret => "the host has no key to send; see its log for where it should be",
            Self::Other(problem) => problem,
        })
    }
}

impl std::error::Error for HttpError {}

/// Sends `request` and waits for the answer.
pub fn send(request: &Request<'_>) -> Result<Response, HttpError> {
    let verb = match request.method {
        Method::Get => Verb::Get,
        Method::Head => Verb::Head,
    };
    exchange(&Exchange {
        verb,
        url: Url::parse(request.url)?,
        content_type: "",
        body: &[],
        wanted: &[],
        timeout: request.timeout,
        max_body: request.max_body,
    })
}

/// Posts a body and waits for the answer.
pub fn post(post: &Post<'_>) -> Result<Response, HttpError> {
    exchange(&Exchange {
        verb: Verb::Post,
        url: Url::parse(post.url)?,
        content_type: post.content_type,
        body: post.body,
        wanted: post.wanted,
        timeout: post.timeout,
        max_body: post.max_body,
    })
}

/// Any request, as both ways to send it see it.
struct Exchange<'a> {
    verb: Verb,
    url: Url<'a>,
    content_type: &'a str,
    body: &'a [u8],
    wanted: &'a [&'a str],
    timeout: Duration,
    max_body: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Get,
    Head,
    Post,
}

fn exchange(exchange: &Exchange<'_>) -> Result<Response, HttpError> {
    #[cfg(target_family = "wasm")]
    return wasi::send(exchange);
    #[cfg(not(target_family = "wasm"))]
    return native::send(exchange);
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
