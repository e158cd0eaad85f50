//! Everything that can happen to the supervisor: closed. What a guest or a process said arrives here as data that
//! the host has bounded already.

use crate::effect::{EffectOutcome, ExitStatus, Process};
use crate::fact::{Opened, Phase};
use crate::id::{ComponentId, Digest, EffectId, IncidentId, InstanceId, PluginId};

/// What holds for the whole host, not for one component.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For jitter.
    pub seed: u64,
    /// Quarantines over all boots, forgiven ones taken off, after which a component is not even tried.
    pub failure_limit: u32,
    /// Goes into facts about boots.
    pub host: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 0, failure_limit: 3, host: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// What the world reports: closed.
#[derive(Debug, Clone)]
pub enum Input {
    /// A boot is wanted. Takes a boot over that an earlier host left running; begins one otherwise.
    Boot(BootRequest),
    /// What is alive after a crash of the host or of the launcher: every process of this state directory.
    Found(Vec<Found>),
    /// Time has passed.
    Tick,
    /// An effect is about to be performed.
    EffectStarted {
        /// Its number.
        id: EffectId,
    },
    /// An effect has been performed.
    EffectFinished {
        /// Its number.
        id: EffectId,
        /// How it ended.
        outcome: EffectOutcome,
    },
    /// A process ended.
    Exited {
        /// Whose.
        component: ComponentId,
        /// Which.
        instance: InstanceId,
        /// How.
        exit: ExitStatus,
        /// What helps to understand it: the last lines it printed.
        evidence: String,
    },
    /// A probe answered, or failed to.
    Probed {
        /// About whom.
        component: ComponentId,
        /// About which process.
        instance: InstanceId,
        /// Which question.
        phase: Phase,
        /// The answer.
        healthy: bool,
        /// In words.
        summary: String,
    },
    /// The plugin that was to answer crashed, broke its limits or was denied without end.
    Misbehaved {
        /// Whom it was asked about.
        component: ComponentId,
        /// Which process.
        instance: InstanceId,
        /// What was asked.
        phase: Phase,
        /// In words.
        what: String,
    },
    /// The files of a component that has been well for a while are kept.
    VersionKept {
        /// Whose.
        component: ComponentId,
        /// The process that was well with them.
        instance: InstanceId,
        /// What names them.
        version: Digest,
    },
    /// Calls of plugins in an incident were recorded.
    CallsRecorded {
        /// Whose it is.
        component: ComponentId,
        /// In which; it may be closed by now.
        incident: IncidentId,
        /// What names the recording.
        calls: Digest,
    },
    /// An operator asks for something.
    Command(Command),
}

/// What a boot is about.
#[derive(Debug, Clone, Default)]
pub struct BootRequest {
    /// `--mission`, else the document's.
    pub mission: Option<String>,
    /// Digest of the brief.
    pub brief: Option<Digest>,
    /// Digest of the configuration as read.
    pub config: Option<Digest>,
    /// What the ledger was when this host opened it.
    pub ledger: Option<Opened>,
    /// `--long-task`.
    pub long_task: bool,
}

/// A process that carries this state directory's marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose.
    pub component: ComponentId,
    /// Which.
    pub instance: InstanceId,
    /// What became of it.
    pub state: FoundState,
}

/// What became of a process nobody watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundState {
    /// It runs.
    Running(Process),
    /// It ended meanwhile.
    Ended(ExitStatus),
}

/// What an operator may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Let it run.
    Start(ComponentId),
    /// Let it rest.
    Stop(ComponentId),
    /// Give it a fresh process.
    Restart(ComponentId),
    /// Take it out.
    Quarantine(ComponentId, Option<String>),
    /// Let it back in, on probation.
    Release(ComponentId, Option<String>),
    /// Hand its failure over to agents.
    HandOver(ComponentId, Option<String>),
    /// Try this diff, and apply it if it is good.
    Patch(ComponentId, Digest),
    /// Take its newest patch back.
    RollBack(ComponentId),
    /// Ask this agent next about its failure.
    Escalate(ComponentId, PluginId, Option<String>),
    /// Call a plugin no more.
    QuarantinePlugin(PluginId, Option<String>),
    /// Call it again, on probation.
    ReleasePlugin(PluginId, Option<String>),
    /// Stop everything, in reverse order.
    Shutdown(String),
}

impl Command {
    /// Whom it is about.
    pub const fn component(&self) -> Option<&ComponentId> {
        match self {
            Self::Start(id)
            | Self::Stop(id)
            | Self::Restart(id)
            | Self::Quarantine(id, _)
            | Self::Release(id, _)
            | Self::HandOver(id, _)
            | Self::Patch(id, _)
            | Self::RollBack(id)
            | Self::Escalate(id, ..) => Some(id),
            Self::QuarantinePlugin(..) | Self::ReleasePlugin(..) | Self::Shutdown(_) => None,
        }
    }
}

/// Why a command was not accepted: closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The configuration names no such component.
    #[error("there is no component `{0}`; `razar-host status` lists them")]
    UnknownComponent(ComponentId),
    /// There is no boot.
    #[error("nothing is running; `razar-host run` boots the stack")]
    NotRunning,
    /// Everything is being stopped.
    #[error("the stack is being stopped; `razar-host run` boots it again once it has")]
    ShuttingDown,
    /// It is in quarantine.
    #[error("`{0}` is quarantined; `razar-host quarantine release {0}` lets it out")]
    Quarantined(ComponentId),
    /// It is not in quarantine.
    #[error("`{0}` is not quarantined; `razar-host quarantine list` shows who is")]
    NotQuarantined(ComponentId),
    /// It has not failed.
    #[error("`{0}` has not failed; `razar-host patch apply FILE --component {0}` tries a patch of your own")]
    NotFailed(ComponentId),
    /// Nobody may repair it.
    #[error("nobody may repair `{0}`: name agents in its `repair`")]
    NoAgents(ComponentId),
    /// Such an agent is not on its ladder.
    #[error("`{1}` is not on the ladder of `{0}`; `razar-host roster` lists who is")]
    NotOnLadder(ComponentId, PluginId),
    /// It has had its attempts in this incident.
    #[error(
        "`{1}` has had its attempts in this incident of `{0}`; raise `repair.attempts`, or hand over once it is closed"
    )]
    AskedEnough(ComponentId, PluginId),
    /// Its files are never changed.
    #[error(
        "files of `{0}` are never changed: add `\"repair\": {{}}` to the component to let patches be tried and applied"
    )]
    NotRepairable(ComponentId),
    /// Somebody is asked already.
    #[error("`{0}` is being repaired; `razar-host incident show {1}` says how far it is")]
    InIncident(ComponentId, IncidentId),
    /// There is no patch to take back.
    #[error("no patch of `{0}` can be taken back; `razar-host patch list` lists what was applied")]
    NotPatched(ComponentId),
    /// No component is asked about by such a plugin.
    #[error("no component's health is asked by a plugin `{0}`; `razar-host plugin list` lists them")]
    UnknownPlugin(PluginId),
    /// It is in quarantine already.
    #[error("plugin `{0}` is quarantined; `razar-host quarantine release --plugin {0}` lets it out")]
    PluginQuarantined(PluginId),
    /// It is not in quarantine.
    #[error("plugin `{0}` is not quarantined")]
    PluginNotQuarantined(PluginId),
    /// It runs, or is about to.
    #[error(
        "`{0}` is not stopped: it runs, or will as soon as what it waits for is ready; `razar-host restart {0}` gives it \
         a fresh process"
    )]
    NotStopped(ComponentId),
    /// It was stopped before.
    #[error("`{0}` is stopped already; `razar-host start {0}` lets it run again")]
    AlreadyStopped(ComponentId),
}

impl Refused {
    /// Nothing has the name that was given.
    pub const fn is_of_name(&self) -> bool {
        matches!(self, Self::UnknownComponent(_) | Self::UnknownPlugin(_))
    }
}
