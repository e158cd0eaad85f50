//! What the host may do to the world, and the permission to do it.
//!
//! ```text
//! Decided ──► Started ──► Finished
//!                └──────► Unknown      (a crash came between; the world is looked at, nothing is done again)
//! ```
//!
//! An [`Authorized`] is made by a decision alone, can be neither copied nor built elsewhere, and is consumed by the
//! function that acts. A function that acts takes nothing else.

use serde::{Deserialize, Serialize};

use crate::id::{ComponentId, Digest, EffectId, IncidentId, InstanceId};

/// Start one process of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Whose.
    pub component: ComponentId,
    /// The number this process will carry, in its environment too.
    pub instance: InstanceId,
    /// What is started: [`crate::plan::ComponentPlan::spec`].
    pub spec: Digest,
    /// First, second, … launch of this incident.
    pub attempt: u32,
}

/// End one process and all it has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// Whose.
    pub component: ComponentId,
    /// Which.
    pub instance: InstanceId,
}

/// Put one accepted patch in place: all of its files, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Whose files.
    pub component: ComponentId,
    /// The incident it is to end.
    pub incident: IncidentId,
    /// The patch: [`crate::patch::Manifest::digest`].
    pub manifest: Digest,
}

/// Take a patch back that was put in place: all of its files, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revert {
    /// Whose files.
    pub component: ComponentId,
    /// The incident it was to end.
    pub incident: IncidentId,
    /// The patch: [`crate::patch::Manifest::digest`].
    pub manifest: Digest,
}

/// Everything the host may do: closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Start a process.
    Start(Start),
    /// End a process.
    Stop(Stop),
}

impl Effect {
    /// Whose effect it is.
    pub const fn component(&self) -> &ComponentId {
        match self {
            Self::Start(start) => &start.component,
            Self::Stop(stop) => &stop.component,
        }
    }

    /// The process it is about.
    pub const fn instance(&self) -> InstanceId {
        match self {
            Self::Start(start) => start.instance,
            Self::Stop(stop) => stop.instance,
        }
    }
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum EffectOutcome {
    /// The process runs.
    Running(Process),
    /// It could not be started at all.
    NotStarted {
        /// What the operating system said, with a remedy.
        error: String,
        /// Trying again changes nothing: there is no such program, user or directory.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        permanent: bool,
    },
    /// The process and everything it started are gone.
    Ended {
        /// How it went, when that is known.
        exit: ExitStatus,
    },
}

/// A process no other can be mistaken for: numbers are reused, start times are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it began, in the kernel's clock ticks since its boot.
    pub start_time: u64,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Nobody was there to see.
    Unknown,
}

impl std::fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Unknown => write!(f, "ended unseen"),
        }
    }
}

/// The permission for exactly one effect.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a decided effect that is dropped is never performed"]
pub struct Authorized<E> {
    id: EffectId,
    effect: E,
}

impl<E> Authorized<E> {
    pub(crate) const fn new(id: EffectId, effect: E) -> Self {
        Self { id, effect }
    }

    /// The number under which its life is recorded.
    pub const fn id(&self) -> EffectId {
        self.id
    }

    /// What may be done.
    pub const fn effect(&self) -> &E {
        &self.effect
    }
}

/// An authorized effect of any kind, to be taken apart by the driver.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a decided effect that is dropped is never performed"]
pub enum Decided {
    /// Start a process.
    Start(Authorized<Start>),
    /// End a process.
    Stop(Authorized<Stop>),
}
