//! Rules for TCP connections and for name lookups.

use std::fmt;
use std::str::FromStr;

use super::error::{RuleError, shown};
use super::host::{Host, HostPattern, split_port};
use super::scope::Target;

/// Where TCP connections may go. As text: `db.example.com:5432`, `[2001:db8::1]:22` or `{target}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TcpRule {
    /// The component this call is about.
    Target,
    /// One port of these hosts.
    Port {
        /// These hosts.
        host: HostPattern,
        /// Exactly this port.
        port: u16,
    },
}

impl TcpRule {
    /// Whether it allows this use, when the call is about `target`.
    pub fn allows(&self, host: &Host, port: u16, target: Option<&Target>) -> bool {
        match self {
            Self::Target => target.is_some_and(|target| target.is(host, port)),
            Self::Port { host: pattern, port: own } => *own == port && pattern.allows(host),
        }
    }

    /// Whether everything `other` allows, it allows too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Target, Self::Target) => true,
            (Self::Port { host, port }, Self::Port { host: theirs, port: other }) => {
                port == other && host.covers(theirs)
            }
            _ => false,
        }
    }

    /// What both allow.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        super::host::narrower(self, other, Self::covers)
    }
}

impl FromStr for TcpRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if is_target(text)? {
            return Ok(Self::Target);
        }
        let (host, port) = split_port(text)?;
        Ok(Self::Port { host: host.parse()?, port })
    }
}

impl fmt::Display for TcpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str("{target}"),
            Self::Port { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// Which names may be looked up. As text: `example.com`, `*.example.com` or `{target}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NameRule {
    /// The host of the component this call is about.
    Target,
    /// These names.
    Host(HostPattern),
}

impl NameRule {
    /// Whether it allows this use, when the call is about `target`.
    pub fn allows(&self, host: &Host, target: Option<&Target>) -> bool {
        match self {
            Self::Target => target.is_some_and(|target| target.host() == host),
            Self::Host(pattern) => pattern.allows(host),
        }
    }

    /// Whether everything `other` allows, it allows too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Target, Self::Target) => true,
            (Self::Host(own), Self::Host(theirs)) => own.covers(theirs),
            _ => false,
        }
    }

    /// What both allow.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        super::host::narrower(self, other, Self::covers)
    }
}

impl FromStr for NameRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        if is_target(text)? {
            return Ok(Self::Target);
        }
        match text.parse()? {
            HostPattern::Exact(Host::Address(_)) => {
                Err(RuleError::Host { host: shown(text), why: "an address needs no lookup" })
            }
            pattern => Ok(Self::Host(pattern)),
        }
    }
}

impl fmt::Display for NameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str("{target}"),
            Self::Host(pattern) => pattern.fmt(f),
        }
    }
}

fn is_target(text: &str) -> Result<bool, RuleError> {
    match text {
        "{target}" => Ok(true),
        _ if text.contains(['{', '}']) => Err(RuleError::Placeholder(shown(text))),
        _ => Ok(false),
    }
}
