//! No, with the reason and the remedy. A denial is an answer for the guest and a line for the operator, never a trap.

use std::fmt;

use super::address::AddressClass;
use super::capability::Capability;
use super::dir::{Access, GuestPath};
use super::error::{RuleError, shown, visible};
use super::http::{HttpPlace, HttpRule};
use super::store::Quota;
use crate::id::PluginId;

/// Why a use is not allowed: closed, each with a stable label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenyReason {
    /// The operator does not grant it.
    NotGranted,
    /// The plugin's own `plugin.toml` does not ask for it.
    NotRequested,
    /// It asks for what the call is about, and this call is about something else or nothing.
    OtherTarget,
    /// `CONNECT`, `TRACE` or no method at all.
    Method,
    /// Not a URL or host this host would use.
    Malformed,
    /// A user name before the host.
    UserInfo,
    /// An address or name in a spelling that hides what it is.
    Spelling,
    /// The name led to no address.
    NoAddress,
    /// The address is not the one, or the port not the port, that was allowed.
    OtherAddress,
    /// The name led to an address of a kind that names may not lead to.
    Address(AddressClass),
}

impl DenyReason {
    /// The word in logs, labels and audit lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotGranted => "not-granted",
            Self::NotRequested => "not-requested",
            Self::OtherTarget => "other-target",
            Self::Method => "method",
            Self::Malformed => "malformed",
            Self::UserInfo => "user-info",
            Self::Spelling => "spelling",
            Self::NoAddress => "no-address",
            Self::OtherAddress => "other-address",
            Self::Address(class) => match class {
                AddressClass::Public => "address-public",
                AddressClass::Loopback => "address-loopback",
                AddressClass::Private => "address-private",
                AddressClass::Shared => "address-shared",
                AddressClass::LinkLocal => "address-link-local",
                AddressClass::Metadata => "address-metadata",
                AddressClass::Multicast => "address-multicast",
                AddressClass::Broadcast => "address-broadcast",
                AddressClass::Unspecified => "address-unspecified",
                AddressClass::Documentation => "address-documentation",
                AddressClass::Benchmarking => "address-benchmarking",
                AddressClass::Tunnel => "address-tunnel",
                AddressClass::Reserved => "address-reserved",
            },
        }
    }

    pub(super) const fn of(error: &RuleError) -> Self {
        match error {
            RuleError::UserInfo(_) => Self::UserInfo,
            RuleError::Spelling { .. } => Self::Spelling,
            RuleError::Method(_) => Self::Method,
            _ => Self::Malformed,
        }
    }
}

/// One use that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    capability: Capability,
    reason: DenyReason,
    subject: String,
    line: Option<String>,
}

impl Denied {
    pub(super) fn new(capability: Capability, reason: DenyReason, subject: &str) -> Self {
        Self { capability, reason, subject: shown(subject), line: None }
    }

    pub(super) fn with_line(mut self, line: Option<String>) -> Self {
        self.line = line;
        self
    }

    /// What it is about.
    pub const fn capability(&self) -> Capability {
        self.capability
    }

    /// Why.
    pub const fn reason(&self) -> DenyReason {
        self.reason
    }

    /// What was tried: bounded, without control characters.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What to paste below `[plugin]` in the grants file, where that would allow it.
    pub fn line(&self) -> Option<&str> {
        self.line.as_deref()
    }

    /// What an operator can do: the line that would allow it, or why no line can. `grants` is the file that was given.
    pub fn remedy(&self, plugin: &PluginId, grants: Option<&str>) -> String {
        if let Some(line) = &self.line {
            return paste(plugin, line, grants);
        }
        match self.reason {
            DenyReason::NotGranted | DenyReason::NotRequested => format!(
                "no line in a grants file can allow it: `plugin.toml` of `{plugin}` does not request it"
            ),
            DenyReason::OtherTarget => {
                "no line in a grants file can allow it: `{target}` is the component this call is about, and \
                 nothing else"
                    .to_owned()
            }
            DenyReason::Method => {
                "no line can allow it: only GET, HEAD, OPTIONS, POST, PUT, PATCH and DELETE can be \
                                   granted"
                    .to_owned()
            }
            DenyReason::Malformed | DenyReason::UserInfo | DenyReason::Spelling => {
                "no line can allow it: the plugin must write the URL or host plainly".to_owned()
            }
            DenyReason::NoAddress => "the name has no address now; no line can change that".to_owned(),
            DenyReason::OtherAddress => {
                "no line can allow it: only the address that was checked is dialed".to_owned()
            }
            DenyReason::Address(class) if class.is_never() => {
                format!("no line can allow it: it is {}", class.in_words())
            }
            DenyReason::Address(class) => format!(
                "no line lets a name lead to {}: where that is meant, write the address itself instead of the name, \
                 in the grant and in what the plugin is told to call",
                class.in_words()
            ),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` denied ({}): `{}`", self.capability, self.reason.as_str(), self.subject)
    }
}

impl std::error::Error for Denied {}

pub(super) fn paste(plugin: &PluginId, line: &str, grants: Option<&str>) -> String {
    match grants {
        Some(file) => format!("write below `[{plugin}]` in `{}`: {line}", visible(file)),
        None => {
            format!("write below `[{plugin}]` in a file and name it with `--grants FILE`: {line}")
        }
    }
}

/// A TOML string. What comes here was parsed already: names, paths and URLs without control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(super) fn http_line(rule: &HttpRule) -> String {
    let methods: Vec<String> = rule.methods.iter().map(|method| quoted(method.as_str())).collect();
    let url = match &rule.place {
        // Some place: which, only the operator knows.
        HttpPlace::Operator => "https://api.example.com/*".to_owned(),
        place => place.to_string(),
    };
    format!("http = [{{ url = {}, methods = [{}] }}]", quoted(&url), methods.join(", "))
}

pub(super) fn list_line(capability: Capability, rule: &str) -> String {
    format!("{} = [{}]", capability.key(), quoted(rule))
}

pub(super) fn dir_line(at: &GuestPath, access: Access) -> String {
    format!(
        "dirs = [{{ source = \"/srv{at}\", at = {}, access = {} }}]",
        quoted(at.as_str()),
        quoted(access.as_str())
    )
}

/// With the numbers that hold where none are written, so that an operator sees what he gives.
pub(super) fn store_line(store: &str) -> String {
    let Quota { bytes, keys, .. } = Quota::DEFAULT;
    format!(
        "{} = {{ {} = {{ bytes = \"{bytes}\", keys = {keys} }} }}",
        Capability::KeyValue.key(),
        quoted(store)
    )
}

pub(super) fn value_line(capability: Capability, key: &str) -> String {
    format!("{} = {{ {} = \"…\" }}", capability.key(), quoted(key))
}
