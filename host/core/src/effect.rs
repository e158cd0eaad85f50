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
use crate::incident::{End, Spent, Who};

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

/// Get one proposal and try it in a sealed copy. It costs money and time, and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Whose files it is about.
    pub component: ComponentId,
    /// In which incident.
    pub incident: IncidentId,
    /// Counts from 1, over everybody who is asked.
    pub number: u32,
    /// Who proposes.
    pub who: Who,
    /// The agent's name as the roster spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Make the changes of a patch that a trial has approved, all of them or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Whose files are changed.
    pub component: ComponentId,
    /// In which incident.
    pub incident: IncidentId,
    /// What names the changes.
    pub manifest: Digest,
}

/// Take them back, to the byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revert {
    /// Whose files are changed back.
    pub component: ComponentId,
    /// In which incident.
    pub incident: IncidentId,
    /// What names the changes.
    pub manifest: Digest,
}

/// Change the roster file, which tells operators who is active, or keep a copy of it first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRoster {
    /// Because of whom.
    pub component: ComponentId,
    /// How.
    pub change: RosterChange,
}

/// What is done with the roster file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RosterChange {
    /// A copy of it is kept, byte for byte, before the first agent of a boot is asked.
    Save,
    /// This one is named as active, as the roster spells it.
    Activate(String),
    /// It is again what the copy says.
    Restore(Digest),
}

/// Everything the host may do: closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Start a process.
    Start(Start),
    /// End a process.
    Stop(Stop),
    /// Get a proposal and try it.
    Attempt(Attempt),
    /// Change files.
    Apply(Apply),
    /// Change them back.
    Revert(Revert),
    /// Change the roster file.
    Roster(SetRoster),
}

impl Effect {
    /// Whose effect it is.
    pub const fn component(&self) -> &ComponentId {
        match self {
            Self::Start(start) => &start.component,
            Self::Stop(stop) => &stop.component,
            Self::Attempt(attempt) => &attempt.component,
            Self::Apply(apply) => &apply.component,
            Self::Revert(revert) => &revert.component,
            Self::Roster(roster) => &roster.component,
        }
    }

    /// The process it is about, if it is about one.
    pub const fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::Start(start) => Some(start.instance),
            Self::Stop(stop) => Some(stop.instance),
            Self::Attempt(_) | Self::Apply(_) | Self::Revert(_) | Self::Roster(_) => None,
        }
    }

    /// The incident it belongs to, if it belongs to one.
    pub const fn incident(&self) -> Option<IncidentId> {
        match self {
            Self::Start(_) | Self::Stop(_) | Self::Roster(_) => None,
            Self::Attempt(attempt) => Some(attempt.incident),
            Self::Apply(apply) => Some(apply.incident),
            Self::Revert(revert) => Some(revert.incident),
        }
    }

    /// Files are being changed: nothing may be started of them, and the host does not leave before it is done.
    pub const fn changes_files(&self) -> bool {
        matches!(self, Self::Apply(_) | Self::Revert(_) | Self::Roster(_))
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
    /// Somebody was asked, and what was proposed was tried.
    Attempted {
        /// How it ended.
        #[serde(flatten)]
        end: End,
        /// What it took; nothing in facts of earlier versions.
        #[serde(default, skip_serializing_if = "Spent::is_nothing")]
        spent: Spent,
    },
    /// A copy of the roster is kept.
    Saved {
        /// Its digest.
        copy: Digest,
        /// Who is active there, if it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        active: Option<String>,
    },
    /// All files are as they should be: after the patch or as they were before it, or as the roster is to be.
    Changed,
    /// Not one file is changed, or nobody can say.
    NotChanged {
        /// Which file, and what the operating system or the file itself says.
        error: String,
        /// Some files may be changed: whoever changed them died of it, or could not undo what it had done.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        partly: bool,
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
    /// Get a proposal and try it.
    Attempt(Authorized<Attempt>),
    /// Change files.
    Apply(Authorized<Apply>),
    /// Change them back.
    Revert(Authorized<Revert>),
    /// Change the roster file.
    Roster(Authorized<SetRoster>),
}

impl Decided {
    /// The number under which its life is recorded.
    pub const fn id(&self) -> EffectId {
        match self {
            Self::Start(one) => one.id(),
            Self::Stop(one) => one.id(),
            Self::Attempt(one) => one.id(),
            Self::Apply(one) => one.id(),
            Self::Revert(one) => one.id(),
            Self::Roster(one) => one.id(),
        }
    }

    /// Whose effect it is.
    pub const fn component(&self) -> &ComponentId {
        match self {
            Self::Start(one) => &one.effect().component,
            Self::Stop(one) => &one.effect().component,
            Self::Attempt(one) => &one.effect().component,
            Self::Apply(one) => &one.effect().component,
            Self::Revert(one) => &one.effect().component,
            Self::Roster(one) => &one.effect().component,
        }
    }
}
