//! Where a secret is and how it goes on the wire: a reference, never the value. The host reads the value when it sends
//! and scrubs it from what comes back.

use std::fmt;

use super::error::{RuleError, shown};

/// Where the value is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// An environment variable of the host.
    Env(String),
    /// A file, read again when it changes.
    File(String),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            Self::File(path) => write!(f, "file `{path}`"),
        }
    }
}

/// A secret and the header it travels in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretRef {
    source: SecretSource,
    header: String,
    before: String,
    after: String,
}

impl SecretRef {
    /// A reference; `format` is the header's value with `{}` for the secret.
    pub fn new(source: SecretSource, header: &str, format: &str) -> Result<Self, RuleError> {
        if let SecretSource::Env(name) = &source {
            env_name(name)?;
        }
        if let SecretSource::File(path) = &source
            && (path.is_empty() || path.chars().any(char::is_control))
        {
            return Err(RuleError::Path { path: shown(path), why: "it is empty or has a control character" });
        }
        let header = header.to_ascii_lowercase();
        if !is_token(&header) || is_the_hosts(&header) {
            return Err(RuleError::Header(shown(&header)));
        }
        let wrong = || RuleError::Format(shown(format));
        let (before, after) = format.split_once("{}").ok_or_else(wrong)?;
        let visible = |text: &str| text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if after.contains("{}") || !visible(before) || !visible(after) {
            return Err(wrong());
        }
        Ok(Self { source, header, before: before.to_owned(), after: after.to_owned() })
    }

    /// Where the value is.
    pub const fn source(&self) -> &SecretSource {
        &self.source
    }

    /// The header, in lower case. A guest that sets it itself is refused.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The header's value for this secret. The final line end of a file is not part of it; a value that is empty or
    /// has any other character a header cannot carry is refused.
    pub fn render(&self, value: &str) -> Option<String> {
        let value = value.strip_suffix('\n').unwrap_or(value);
        let value = value.strip_suffix('\r').unwrap_or(value);
        let carries = !value.is_empty() && value.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        carries.then(|| format!("{}{value}{}", self.before, self.after))
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}: {}{{}}{}` from {}", self.header, self.before, self.after, self.source)
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Headers that frame or route a message: whoever sets them decides where it goes or where it ends.
fn is_the_hosts(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "connection"
            | "content-length"
            | "expect"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The name of an environment variable.
pub(crate) fn env_name(name: &str) -> Result<(), RuleError> {
    let good = name.len() <= 64
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good {
        Ok(())
    } else {
        Err(RuleError::Key { name: shown(name), what: "the name of an environment variable" })
    }
}

/// A configuration key.
pub(crate) fn config_key(name: &str) -> Result<(), RuleError> {
    plain_name(name, "a configuration key")
}

/// Letters, digits, `_`, `-` and `.`: nothing that could be taken for a part of a path or a key.
pub(super) fn plain_name(name: &str, what: &'static str) -> Result<(), RuleError> {
    let good = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if good { Ok(()) } else { Err(RuleError::Key { name: shown(name), what }) }
}
