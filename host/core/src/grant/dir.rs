//! Directory rules: which directory a plugin sees, under which name, and whether it may write. A plugin names only
//! where it wants to see something; what lies there is the operator's choice.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{RuleError, shown};

/// What may be done in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Look and read.
    Read,
    /// All of that, create, change and delete.
    Write,
}

impl Access {
    /// The word in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// An absolute path on the host: no `.`, no `..`, not the root, not the kernel's own trees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPath(String);

impl HostPath {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this directory is `other` or holds it.
    pub fn holds(&self, other: &Self) -> bool {
        other.0.strip_prefix(self.0.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for HostPath {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = |why| RuleError::Path { path: shown(text), why };
        check(text).map_err(wrong)?;
        let top = text.split('/').nth(1).unwrap_or_default();
        if matches!(top, "proc" | "sys" | "dev") {
            return Err(wrong("the kernel's own trees are never granted"));
        }
        Ok(Self(text.to_owned()))
    }
}

fn check(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    let Some(rest) = text.strip_prefix('/') else { return Err("it is not absolute") };
    if rest.is_empty() {
        return Err("the root is never granted");
    }
    if text.len() > 1024 || text.chars().any(char::is_control) {
        return Err("it is longer than 1024 bytes or contains a control character");
    }
    if rest.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("it contains `.`, `..` or an empty part");
    }
    Ok(())
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a plugin sees a directory: absolute, parts of letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestPath(String);

impl GuestPath {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GuestPath {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = |why| RuleError::Path { path: shown(text), why };
        check(text).map_err(wrong)?;
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-')) {
            return Err(wrong("a plugin's path has only letters, digits, `.`, `_`, `-` and `/`"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a directory rule mounts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DirSource {
    /// In a request: whatever the operator mounts there.
    Operator,
    /// In a grant: this directory.
    Path(HostPath),
    /// `{log}`, always at `/log`: a bounded copy of the log's tail, made for this call.
    Log,
    /// `{tree}`, always at `/tree`: what an evaluator judges.
    Tree,
    /// `{scratch}`, always at `/scratch`: empty, gone after the call.
    Scratch,
}

impl DirSource {
    /// The one place a placeholder is seen at.
    pub const fn place(&self) -> Option<&'static str> {
        match self {
            Self::Log => Some("/log"),
            Self::Tree => Some("/tree"),
            Self::Scratch => Some("/scratch"),
            Self::Operator | Self::Path(_) => None,
        }
    }
}

impl FromStr for DirSource {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        match text {
            "{operator}" => Ok(Self::Operator),
            "{log}" => Ok(Self::Log),
            "{tree}" => Ok(Self::Tree),
            "{scratch}" => Ok(Self::Scratch),
            _ if text.starts_with('{') => Err(RuleError::Placeholder(shown(text))),
            _ => text.parse().map(Self::Path),
        }
    }
}

impl fmt::Display for DirSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("{operator}"),
            Self::Path(path) => path.fmt(f),
            Self::Log => f.write_str("{log}"),
            Self::Tree => f.write_str("{tree}"),
            Self::Scratch => f.write_str("{scratch}"),
        }
    }
}

/// A directory, where it is seen, and what may be done there. As text: `read /srv/models at /models`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DirRule {
    source: DirSource,
    at: GuestPath,
    access: Access,
}

impl DirRule {
    /// A rule, unless a placeholder is put elsewhere than at its own place or something else is put there.
    pub fn new(source: DirSource, at: GuestPath, access: Access) -> Result<Self, RuleError> {
        let reserved = matches!(at.as_str(), "/log" | "/tree" | "/scratch");
        match source.place() {
            Some(place) if place != at.as_str() => {
                Err(RuleError::Path { path: at.0, why: "a placeholder has a place of its own" })
            }
            None if reserved => {
                Err(RuleError::Path { path: at.0, why: "this place belongs to a placeholder" })
            }
            _ if access == Access::Write && matches!(source, DirSource::Log | DirSource::Tree) => {
                Err(RuleError::Path { path: at.0, why: "it can only be read" })
            }
            _ => Ok(Self { source, at, access }),
        }
    }

    /// What is mounted.
    pub const fn source(&self) -> &DirSource {
        &self.source
    }

    /// Where it is seen.
    pub const fn at(&self) -> &GuestPath {
        &self.at
    }

    /// What may be done.
    pub const fn access(&self) -> Access {
        self.access
    }

    /// Whether it allows this use.
    pub fn allows(&self, at: &GuestPath, access: Access) -> bool {
        self.at == *at && self.access >= access
    }

    /// Whether everything `other` allows, it allows too.
    pub fn covers(&self, other: &Self) -> bool {
        self.allows(&other.at, other.access) && (self.source == other.source || other.is_open())
            || self.is_open() && other.source.place().is_none() && self.allows(&other.at, other.access)
    }

    /// What both allow: what the operator mounts where a request leaves it to him.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        if self.at != other.at {
            return None;
        }
        let source = match (&self.source, &other.source) {
            (own, theirs) if own == theirs => own.clone(),
            (DirSource::Operator, path @ DirSource::Path(_))
            | (path @ DirSource::Path(_), DirSource::Operator) => path.clone(),
            _ => return None,
        };
        Some(Self { source, at: self.at.clone(), access: self.access.min(other.access) })
    }

    const fn is_open(&self) -> bool {
        matches!(self.source, DirSource::Operator)
    }
}

impl FromStr for DirRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = || RuleError::Dir(shown(text));
        let (access, rest) = text.split_once(' ').ok_or_else(wrong)?;
        let access = match access {
            "read" => Access::Read,
            "write" => Access::Write,
            _ => return Err(wrong()),
        };
        // A guest's path has no space, so the last ` at ` is ours whatever the host's path is called.
        let (source, at) = rest.rsplit_once(" at ").ok_or_else(wrong)?;
        Self::new(source.parse()?, at.parse()?, access)
    }
}

impl fmt::Display for DirRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}", self.access.as_str(), self.source, self.at)
    }
}
