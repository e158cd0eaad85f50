//! A URL as a request may use it. Parsing is strict where URL parsers are kind: no user name, no backslash, no control
//! character, no second spelling of a host or port. What is checked is what is sent: the path comes out normalized.

use std::fmt;
use std::str::FromStr;

use super::error::{RuleError, shown};
use super::host::{Host, port_of};
use super::http::Scheme;

/// Longest URL: servers refuse longer ones, and denials repeat them.
const MAX_URL: usize = 8 * 1024;

/// A URL that can be sent: scheme, host, port, normalized path, query.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    scheme: Scheme,
    host: Host,
    port: u16,
    path: String,
    query: Option<String>,
}

impl HttpUrl {
    /// `http` or `https`.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host; what it resolves to is a second question.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port, also when it is the scheme's own.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Normalized: no dot segments, no needless percent-encoding.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Without the `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// What the `Host` header says: the port only when it is not the scheme's own.
    pub fn authority(&self) -> String {
        authority(self.scheme, &self.host, self.port)
    }

    /// What the request line says.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

pub(super) fn authority(scheme: Scheme, host: &impl fmt::Display, port: u16) -> String {
    if port == scheme.port() { host.to_string() } else { format!("{host}:{port}") }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority(), self.path_and_query())
    }
}

/// A URL taken apart, before its host is a host.
pub(super) struct Parts<'a> {
    pub(super) scheme: Scheme,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

pub(super) fn split(text: &str) -> Result<Parts<'_>, RuleError> {
    let wrong = |why| RuleError::Url { url: shown(text), why };
    if text.len() > MAX_URL {
        return Err(wrong("it is longer than 8 KiB"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("it contains white space or a control character"));
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| RuleError::Scheme(shown(text)))?;
    let scheme = match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
        _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
        _ => return Err(RuleError::Scheme(shown(text))),
    };
    if rest.contains('#') {
        return Err(wrong("a fragment is never sent"));
    }
    let (before_query, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    if before_query.contains('\\') {
        return Err(wrong("it contains a backslash"));
    }
    let (authority, path) = match before_query.find('/') {
        Some(at) => before_query.split_at(at),
        None => (before_query, "/"),
    };
    if authority.contains('@') {
        return Err(RuleError::UserInfo(shown(text)));
    }
    if authority.contains('%') {
        return Err(wrong("its host is percent-encoded"));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port_of(port).ok_or_else(|| wrong("its port is not a number between 1 and 65535"))?)
        }
        _ => (authority, scheme.port()),
    };
    if !path.is_ascii() || query.is_some_and(|query| !query.is_ascii()) {
        return Err(wrong("its path or query is not percent-encoded"));
    }
    Ok(Parts { scheme, host, port, path, query })
}

/// The path with dot segments resolved and each octet in its one encoding.
pub(super) fn normalized(text: &str, path: &str) -> Result<String, RuleError> {
    let wrong = |why| RuleError::Url { url: shown(text), why };
    let mut decoded = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(char::from(byte));
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(wrong("a `%` is not followed by two hexadecimal digits"));
        };
        match u8::try_from(high * 16 + low) {
            Ok(byte) if byte < 0x20 || byte == 0x7f => return Err(wrong("it encodes a control character")),
            Ok(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                decoded.push(char::from(byte))
            }
            _ => decoded.push_str(&format!("%{high:X}{low:X}")),
        }
    }
    let mut base = ::url::Url::parse("http://h/").map_err(|_| wrong("it cannot be parsed"))?;
    base.set_path(&decoded);
    Ok(base.path().to_owned())
}

/// Whether a server that decodes once more than we do could leave the directory a path pretends to be in.
pub(super) fn climbs(path: &str) -> bool {
    let mut text = path.to_ascii_lowercase();
    for _ in 0..4 {
        let climbs = text.split(['/', '\\']).any(|segment| {
            let name = segment.split(';').next().unwrap_or_default();
            name == ".." || name == "."
        });
        if climbs {
            return true;
        }
        let next = text
            .replace("%2f", "/")
            .replace("%5c", "\\")
            .replace("%2e", ".")
            .replace("%3b", ";")
            .replace("%25", "%");
        if next == text {
            return false;
        }
        text = next;
    }
    text.contains('%')
}

impl FromStr for HttpUrl {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let parts = split(text)?;
        Ok(Self {
            scheme: parts.scheme,
            host: parts.host.parse()?,
            port: parts.port,
            path: normalized(text, parts.path)?,
            query: parts.query.map(str::to_owned),
        })
    }
}
