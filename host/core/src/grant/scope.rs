//! What one call is about. Authority that belongs to a call ends with it: the component being probed, its log, the
//! tree being judged.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::RuleError;
use super::host::{Host, split_port};
use super::http::Scheme;
use super::url::HttpUrl;

/// Where the component being probed listens: a URL (its origin counts) or `host:port`, as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    scheme: Option<Scheme>,
    host: Host,
    port: u16,
}

impl Target {
    /// Given when the operator wrote a URL.
    pub const fn scheme(&self) -> Option<Scheme> {
        self.scheme
    }

    /// The host.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether an HTTP request to this origin goes to the component.
    pub(super) fn serves(&self, url: &HttpUrl) -> bool {
        self.scheme.is_none_or(|scheme| scheme == url.scheme()) && self.is(url.host(), url.port())
    }

    /// Whether a connection to this goes to the component.
    pub(super) fn is(&self, host: &Host, port: u16) -> bool {
        self.host == *host && self.port == port
    }
}

impl FromStr for Target {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if text.contains("://") {
            let url: HttpUrl = text.parse()?;
            return Ok(Self {
                scheme: Some(url.scheme()),
                host: url.host().clone().nameable()?,
                port: url.port(),
            });
        }
        let (host, port) = split_port(text)?;
        Ok(Self { scheme: None, host: host.parse::<Host>()?.nameable()?, port })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.scheme {
            Some(scheme) => write!(f, "{scheme}://{}:{}", self.host, self.port),
            None => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Where in a log the part begins that a call is about: an earlier launch wrote what is before it. At offset 0 it is
/// all of whatever file there is; otherwise it holds for this file only, because a rotated log begins anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBegin {
    /// Device of the file.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// The first byte that counts.
    pub offset: u64,
}

impl LogBegin {
    /// Where to begin in the file that has the log's name now.
    pub const fn within(&self, device: u64, inode: u64, size: u64) -> u64 {
        let same = self.device == device && self.inode == inode && self.offset <= size;
        if same { self.offset } else { 0 }
    }
}

/// Where the tree being judged lies: a copy made for this call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreePaths {
    /// Read-only, at `/tree`.
    pub tree: String,
    /// Writable, empty, at `/scratch`.
    pub scratch: String,
}

/// What one call is about. The default is about nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallScope {
    /// `{target}`: the component being probed.
    pub target: Option<Target>,
    /// `{log}`: a directory that holds a bounded copy of the log's tail, made for this call.
    pub log: Option<String>,
    /// Where in that log this call's part begins; none for all of it.
    pub log_begin: Option<LogBegin>,
    /// `{tree}` and `{scratch}`: what an evaluator judges.
    pub tree: Option<TreePaths>,
}

impl CallScope {
    /// A call about the component that listens there.
    pub fn about(target: Target) -> Self {
        Self { target: Some(target), ..Self::default() }
    }
}
