//! HTTP rules: exact scheme, host, port and path, or everything below a path ending in `/*`, and a list of methods.
//! A rule says nothing of queries: whoever may ask a path may ask it with any query.

use std::fmt;
use std::str::FromStr;

use super::error::{RuleError, shown};
use super::host::{HostPattern, narrower};
use super::method::{Method, Methods};
use super::scope::Target;
use super::url::{HttpUrl, authority, climbs, normalized, split};

/// Which protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port when none is written.
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The paths a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// This one, normalized.
    Exact(String),
    /// Written `/v1/*`: held as `/v1/`, everything that begins so.
    Below(String),
}

impl PathPattern {
    /// Whether it speaks of this normalized path.
    pub fn allows(&self, path: &str) -> bool {
        match self {
            Self::Exact(own) => own == path,
            Self::Below(prefix) => path.strip_prefix(prefix.as_str()).is_some_and(|rest| !climbs(rest)),
        }
    }

    /// Whether every path of `other` is one of its own.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(path)) => self.allows(path),
            (Self::Below(own), Self::Below(theirs)) => {
                theirs.strip_prefix(own.as_str()).is_some_and(|rest| !climbs(rest))
            }
            (Self::Exact(_), Self::Below(_)) => false,
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Below(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// The URLs a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlPattern {
    /// Exactly this scheme.
    pub scheme: Scheme,
    /// These hosts.
    pub host: HostPattern,
    /// Exactly this port.
    pub port: u16,
    /// These paths.
    pub path: PathPattern,
}

impl UrlPattern {
    /// Whether it speaks of this URL.
    pub fn allows(&self, url: &HttpUrl) -> bool {
        self.scheme == url.scheme()
            && self.port == url.port()
            && self.host.allows(url.host())
            && self.path.allows(url.path())
    }

    /// Whether every URL of `other` is one of its own.
    pub fn covers(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.port == other.port
            && self.host.covers(&other.host)
            && self.path.covers(&other.path)
    }

    fn intersect(&self, other: &Self) -> Option<Self> {
        if self.scheme != other.scheme || self.port != other.port {
            return None;
        }
        let host = self.host.intersect(&other.host)?;
        let path = narrower(&self.path, &other.path, PathPattern::covers)?;
        Some(Self { scheme: self.scheme, host, port: self.port, path })
    }
}

impl FromStr for UrlPattern {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = |why| RuleError::Url { url: shown(text), why };
        let parts = split(text)?;
        if parts.query.is_some() {
            return Err(wrong("a rule speaks of no query; leave it out, any is allowed"));
        }
        let (path, below) = match parts.path.strip_suffix("/*") {
            Some(path) => (format!("{path}/"), true),
            None => (parts.path.to_owned(), false),
        };
        if path.contains('*') {
            return Err(RuleError::Wildcard(shown(text)));
        }
        let path = normalized(text, &path)?;
        if climbs(&path) {
            return Err(wrong("its path hides a `.` or `..`"));
        }
        Ok(Self {
            scheme: parts.scheme,
            host: parts.host.parse()?,
            port: parts.port,
            path: if below { PathPattern::Below(path) } else { PathPattern::Exact(path) },
        })
    }
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, authority(self.scheme, &self.host, self.port), self.path)
    }
}

/// Where a rule allows requests to go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HttpPlace {
    /// `{target}`: the origin of the component this call is about.
    Target,
    /// In a request: wherever the operator sends it. No grant can say this, so it never allows anything by itself.
    Operator,
    /// These URLs.
    Url(UrlPattern),
}

impl FromStr for HttpPlace {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        match text {
            "{target}" => Ok(Self::Target),
            _ if text.contains(['{', '}']) => Err(RuleError::Placeholder(shown(text))),
            _ => text.parse().map(Self::Url),
        }
    }
}

impl fmt::Display for HttpPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str("{target}"),
            Self::Operator => f.write_str("{operator}"),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// Methods at a place. As text: `GET,HEAD https://api.example.com/v1/*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpRule {
    /// What may be done.
    pub methods: Methods,
    /// Where.
    pub place: HttpPlace,
}

impl HttpRule {
    /// Whether it allows this use, when the call is about `target`.
    pub fn allows(&self, method: Method, url: &HttpUrl, target: Option<&Target>) -> bool {
        self.methods.contains(method)
            && match &self.place {
                HttpPlace::Target => target.is_some_and(|target| target.serves(url)),
                HttpPlace::Operator => true,
                HttpPlace::Url(pattern) => pattern.allows(url),
            }
    }

    /// Whether everything `other` allows, it allows too.
    pub fn covers(&self, other: &Self) -> bool {
        self.methods.covers(other.methods)
            && match (&self.place, &other.place) {
                (HttpPlace::Target, HttpPlace::Target) => true,
                (HttpPlace::Url(own), HttpPlace::Url(theirs)) => own.covers(theirs),
                _ => false,
            }
    }

    /// Whether, as a grant, it gives all that `wanted` asks for. Who leaves the place to the operator is content with any.
    pub fn gives(&self, wanted: &Self) -> bool {
        match (&self.place, &wanted.place) {
            (HttpPlace::Url(_), HttpPlace::Operator) => self.methods.covers(wanted.methods),
            _ => self.covers(wanted),
        }
    }

    /// What both allow.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        let methods = self.methods.intersect(other.methods);
        if methods.is_empty() {
            return None;
        }
        let place = match (&self.place, &other.place) {
            (HttpPlace::Target, HttpPlace::Target) => HttpPlace::Target,
            (HttpPlace::Url(own), HttpPlace::Url(theirs)) => HttpPlace::Url(own.intersect(theirs)?),
            (HttpPlace::Operator, HttpPlace::Url(url)) | (HttpPlace::Url(url), HttpPlace::Operator) => {
                HttpPlace::Url(url.clone())
            }
            _ => return None,
        };
        Some(Self { methods, place })
    }
}

impl FromStr for HttpRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (methods, place) = text.split_once(' ').ok_or_else(|| RuleError::NoMethods(shown(text)))?;
        Ok(Self { methods: methods.parse()?, place: place.parse()? })
    }
}

impl fmt::Display for HttpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.methods, self.place)
    }
}
