//! Host names and addresses as rules and uses write them. One host has one spelling: anything else is refused, never
//! interpreted, because glibc and URL parsers read `0x7f.1`, `2130706433` and `①②⑦.⓪.⓪.①` as 127.0.0.1.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::address::{AddressClass, canonical};
use super::error::{RuleError, shown};

/// A host: a lower-case ASCII name without a final dot, or an address in its canonical spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name; what it resolves to is a second question.
    Name(String),
    /// A literal address.
    Address(IpAddr),
}

impl FromStr for Host {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = |why| RuleError::Host { host: shown(text), why };
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(|| wrong("a bracket is missing"))?;
            let address: Ipv6Addr = inner.parse().map_err(|_| wrong("no IPv6 address is in the brackets"))?;
            return literal(inner, IpAddr::V6(address));
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Err(RuleError::Spelling { found: shown(text), canonical: spelled(IpAddr::V6(address)) });
        }
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.contains('*') {
            return Err(RuleError::Wildcard(shown(text)));
        }
        let delimiter =
            |c: char| c.is_ascii() && !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if text.chars().any(|c| delimiter(c) || c.is_control() || c.is_whitespace()) {
            return Err(wrong("it contains a character no host name has"));
        }
        match ::url::Host::parse(text) {
            Ok(::url::Host::Domain(name)) => name_of(text, name),
            Ok(::url::Host::Ipv4(address)) => literal(text, IpAddr::V4(address)),
            Ok(::url::Host::Ipv6(address)) => literal(text, IpAddr::V6(address)),
            Err(_) => Err(wrong("it is not a valid name")),
        }
    }
}

fn name_of(text: &str, name: String) -> Result<Host, RuleError> {
    let wrong = |why| RuleError::Host { host: shown(text), why };
    if name.len() > 253 {
        return Err(wrong("it is longer than 253 characters"));
    }
    if name.ends_with('.') {
        return Err(wrong("it ends in a dot"));
    }
    if name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err(wrong("every part between dots has 1 to 63 characters"));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err(wrong("it contains a character no host name has"));
    }
    Ok(Host::Name(name))
}

fn literal(text: &str, address: IpAddr) -> Result<Host, RuleError> {
    let address = match canonical(address) {
        same if same == address => same,
        other => return Err(RuleError::Spelling { found: shown(text), canonical: spelled(other) }),
    };
    if address.to_string() != text {
        return Err(RuleError::Spelling { found: shown(text), canonical: spelled(address) });
    }
    Ok(Host::Address(address))
}

fn spelled(address: IpAddr) -> String {
    Host::Address(canonical(address)).to_string()
}

impl Host {
    /// The literal address, when it is one.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }

    /// Refuses literals that no rule and no component can name.
    pub(super) fn nameable(self) -> Result<Self, RuleError> {
        match self.address().map(AddressClass::of) {
            Some(class) if class.is_never() => {
                Err(RuleError::Address { address: self.to_string(), class: class.in_words() })
            }
            _ => Ok(self),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// The hosts a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This one.
    Exact(Host),
    /// Written `*.example.com`: every name that ends in `.example.com`, at any depth, never `example.com` itself.
    Below(String),
}

impl HostPattern {
    /// Whether it speaks of this host.
    pub fn allows(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(own), _) => own == host,
            (Self::Below(parent), Host::Name(name)) => is_below(name, parent),
            (Self::Below(_), Host::Address(_)) => false,
        }
    }

    /// Whether every host of `other` is one of its own.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(host)) => self.allows(host),
            (Self::Below(own), Self::Below(theirs)) => own == theirs || is_below(theirs, own),
            (Self::Exact(_), Self::Below(_)) => false,
        }
    }

    /// The hosts of both: of two patterns that share a host, one covers the other.
    pub(super) fn intersect(&self, other: &Self) -> Option<Self> {
        narrower(self, other, Self::covers)
    }
}

/// The narrower of two, when one covers the other.
pub(super) fn narrower<T: Clone>(a: &T, b: &T, covers: impl Fn(&T, &T) -> bool) -> Option<T> {
    if covers(a, b) {
        Some(b.clone())
    } else if covers(b, a) {
        Some(a.clone())
    } else {
        None
    }
}

fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl FromStr for HostPattern {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let Some(parent) = text.strip_prefix("*.") else {
            return Ok(Self::Exact(text.parse::<Host>()?.nameable()?));
        };
        match parent.parse()? {
            // `*.com` would be most of the Internet, and `*.1.2.3` is no name at all.
            Host::Name(name) if name.contains('.') => Ok(Self::Below(name)),
            _ => Err(RuleError::Wildcard(shown(text))),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => host.fmt(f),
            Self::Below(parent) => write!(f, "*.{parent}"),
        }
    }
}

/// `host:port` apart; the port as decimal digits without leading zeros.
pub(super) fn split_port(text: &str) -> Result<(&str, u16), RuleError> {
    let wrong = || RuleError::Port(shown(text));
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    Ok((host, port_of(port).ok_or_else(wrong)?))
}

pub(super) fn port_of(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (port > 0 && port.to_string() == text).then_some(port)
}
