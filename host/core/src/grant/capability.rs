//! The two closed sets everything here is about: what can be granted, and what a plugin is for.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What can be granted. Logging, clocks and randomness are not on it: every plugin has them, bounded by its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Send an HTTP request.
    Http,
    /// Open a TCP connection.
    Tcp,
    /// See a directory.
    Dir,
    /// Ask for the addresses of a name.
    NameLookup,
    /// Read a configuration value.
    Config,
    /// See an environment variable.
    Env,
    /// Keep values from call to call.
    KeyValue,
    /// Be told of a scratch copy of the component's files, for a tool of the operator's that edits files.
    Workspace,
}

impl Capability {
    /// All of them, in the order documents list them.
    pub const ALL: [Self; 8] = [
        Self::Http,
        Self::Tcp,
        Self::Dir,
        Self::NameLookup,
        Self::Config,
        Self::Env,
        Self::KeyValue,
        Self::Workspace,
    ];

    /// The word in logs, labels and audit lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Dir => "dir",
            Self::NameLookup => "name-lookup",
            Self::Config => "config",
            Self::Env => "env",
            Self::KeyValue => "keyvalue",
            Self::Workspace => "workspace",
        }
    }

    /// The key under which `plugin.toml` and `grants.toml` speak of it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Dir => "dirs",
            Self::NameLookup => "names",
            Self::Config => "config",
            Self::Env => "env",
            Self::KeyValue => "keyvalue",
            Self::Workspace => "workspace",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a plugin is for: read from its exports; a plugin may have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Watches one component.
    Probe,
    /// Suggests a remedy.
    Agent,
    /// Judges a tree.
    Evaluator,
    /// Offers tools to MCP clients and agents.
    Tools,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Probe, Self::Agent, Self::Evaluator, Self::Tools];

    /// The word in logs and labels; also the name of the exported interface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Agent => "agent",
            Self::Evaluator => "evaluator",
            Self::Tools => "tools",
        }
    }

    /// Whether a plugin in this role may have the capability at all. Agents get no directory: sources and tools
    /// reach them through the contract, redacted and bounded; and nobody else is asked about a component's files.
    pub const fn may_hold(self, capability: Capability) -> bool {
        match capability {
            Capability::Dir => !matches!(self, Self::Agent),
            Capability::Workspace => matches!(self, Self::Agent),
            _ => true,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
