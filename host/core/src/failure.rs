//! What a failure is, which class it belongs to, and the remedy operators know for that class.

mod class;

use serde::{Deserialize, Serialize};

pub use class::{Peer, Telling};

/// Where to look: the classes operators know from `razar.issue_analyzer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// Something it needs is not installed.
    Dependency,
    /// Its own code is wrong.
    Logic,
    /// Everything else: network, peers, machine.
    External,
}

impl FailureClass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dependency, Self::Logic, Self::External];

    /// The word in logs and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dependency => "dependency",
            Self::Logic => "logic",
            Self::External => "external",
        }
    }

    /// The remediation text operators know.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Dependency => "Install missing packages or verify the environment.",
            Self::Logic => "Inspect the stack trace and fix the underlying code logic.",
            Self::External => "Check network connectivity and external service status.",
        }
    }
}

/// One failure of one component, or of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What happened.
    pub kind: FailureKind,
    /// Where to look.
    pub class: FailureClass,
    /// In words, bounded by who reports it.
    pub error: String,
}

/// What happened: closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The command could not be started.
    NotStarted,
    /// The command cannot be started, however often it is tried: no such program, user or directory.
    Unstartable,
    /// The process ended although nobody asked it to.
    Exited,
    /// It did not become healthy before its startup deadline.
    StartupDeadline,
    /// It was healthy and its liveness probe failed K of N.
    Liveness,
    /// It is not well at the end of the time in which its patch had to hold.
    Canary,
    /// Nothing happened; an operator took it out.
    Operator,
    /// A plugin's call ended in a way no honest plugin's does.
    Misbehaved,
}
