//! What is remembered. State is a fold over facts, nothing else; every file an operator reads is a view of them.
//! A fact's JSON is its canonical form in the ledger: within a major version fields are only ever added, with a
//! default.

use serde::{Deserialize, Serialize};

use crate::effect::{Effect, EffectOutcome, ExitStatus, Process};
use crate::failure::Failure;
use crate::id::{BootId, ComponentId, Digest, EffectId, IncidentId, InstanceId, PluginId};
use crate::time::{Millis, Timestamp};

/// A change worth remembering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// An operator's `run` began a boot.
    BootStarted {
        /// Which.
        boot: BootId,
        /// `--mission`, else the document's.
        mission: Option<String>,
        /// Digest of the mission brief, archived beside the facts.
        brief: Option<Digest>,
        /// Digest of the boot configuration as read.
        config: Digest,
        /// All of them, in document order.
        components: Vec<ComponentId>,
        /// The version that decides.
        host: String,
        /// What the ledger was when this host opened it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ledger: Option<Opened>,
        /// `--long-task`: repairs climb the ladder again and again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        long_task: bool,
    },
    /// A host took over a boot that another host had left running.
    BootResumed {
        /// Which.
        boot: BootId,
        /// The version that decides now.
        host: String,
        /// What the ledger was when this host opened it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ledger: Option<Opened>,
        /// `--long-task` was said to this host.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        long_task: bool,
    },
    /// Every component is settled.
    BootCompleted {
        /// Which.
        boot: BootId,
        /// Since its start.
        took: Millis,
        /// Ready at this moment.
        ready: Vec<ComponentId>,
        /// Quarantined, or waiting for one that is.
        absent: Vec<ComponentId>,
    },
    /// A vital component failed for good while booting.
    BootHalted {
        /// Which.
        boot: BootId,
        /// Whose failure it was.
        component: ComponentId,
        /// In words.
        reason: String,
    },
    /// Somebody asked for everything to stop.
    ShutdownStarted {
        /// Who or what, in words.
        reason: String,
    },
    /// Everything has stopped.
    BootEnded {
        /// Which.
        boot: BootId,
    },
    /// An effect was decided; the permission is spent in this process or never.
    EffectDecided {
        /// Its number.
        id: EffectId,
        /// What.
        effect: Effect,
    },
    /// It is about to be done.
    EffectStarted {
        /// Its number.
        id: EffectId,
    },
    /// It is done.
    EffectFinished {
        /// Its number.
        id: EffectId,
        /// How it ended.
        #[serde(flatten)]
        outcome: EffectOutcome,
    },
    /// A crash left it open; what the world shows follows as facts of its own.
    EffectUnknown {
        /// Its number.
        id: EffectId,
    },
    /// A process of an earlier host was found alive and taken over.
    Adopted {
        /// Whose.
        component: ComponentId,
        /// Which.
        instance: InstanceId,
        /// Pid and start time.
        process: Process,
    },
    /// A process ended.
    Exited {
        /// Whose.
        component: ComponentId,
        /// Which.
        instance: InstanceId,
        /// How.
        exit: ExitStatus,
        /// Somebody had asked it to.
        asked: bool,
    },
    /// It passed its startup probe: others may depend on it.
    Ready {
        /// Whose.
        component: ComponentId,
        /// Which process.
        instance: InstanceId,
        /// Since its launch.
        took: Millis,
    },
    /// Its health changed for the windowed detector of a phase.
    HealthChanged {
        /// Whose.
        component: ComponentId,
        /// Which of the probes says so.
        phase: Phase,
        /// Healthy now.
        healthy: bool,
        /// What the probe said.
        summary: String,
    },
    /// Its health changes so often that changes stop being acted on until it is steady.
    FlappingStarted {
        /// Whose.
        component: ComponentId,
        /// Changes seen within the damping's memory.
        changes: u32,
    },
    /// It is steady again.
    FlappingEnded {
        /// Whose.
        component: ComponentId,
    },
    /// It failed.
    Failed {
        /// Whose.
        component: ComponentId,
        /// Which process; none when none could be started.
        instance: Option<InstanceId>,
        /// Which launch of this incident.
        attempt: u32,
        /// What happened.
        failure: Failure,
    },
    /// It will be launched again, not before `until`.
    BackingOff {
        /// Whose.
        component: ComponentId,
        /// When.
        until: Timestamp,
        /// The launch that will be.
        attempt: u32,
    },
    /// Local launches have not helped, or an operator has a patch: from now on somebody is asked, and what is proposed is tried.
    IncidentOpened {
        /// Its number.
        incident: IncidentId,
        /// Whose failure it is.
        component: ComponentId,
        /// What it is about.
        failure: Failure,
        /// Launches made before.
        launches: u32,
        /// The operator's diff, if it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        diff: Option<Digest>,
    },
    /// A patch that was applied is to be taken back because an operator says so.
    RollbackRequested {
        /// In which incident; a new one, if the one that applied it is closed.
        incident: IncidentId,
        /// Whose files they are.
        component: ComponentId,
        /// What names the changes.
        manifest: Digest,
    },
    /// The incident goes on with another agent of the ladder.
    Escalated {
        /// Which.
        incident: IncidentId,
        /// Whose it is.
        component: ComponentId,
        /// Who was next before.
        from: PluginId,
        /// Who is next now.
        to: PluginId,
        /// The new one's name as the roster spells it.
        name: String,
        /// Escalations of this incident so far, with this one.
        escalations: u32,
    },
    /// It has gone on so often that an operator should know. Once in an incident.
    EscalationWarned {
        /// Which.
        incident: IncidentId,
        /// Whose it is.
        component: ComponentId,
        /// Escalations so far.
        escalations: u32,
    },
    /// An agent of the ladder is passed over. Once for each in one round through the ladder.
    RungSkipped {
        /// In which incident.
        incident: IncidentId,
        /// Whose it is.
        component: ComponentId,
        /// Who.
        agent: PluginId,
        /// Its name as the roster spells it.
        name: String,
        /// What kind of reason.
        reason: Skip,
        /// In words.
        why: String,
        /// Not asked before this moment, if a moment is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// Everybody was asked and nobody helped; the ladder is climbed again, not before `until`.
    RoundBegan {
        /// In which incident.
        incident: IncidentId,
        /// Whose it is.
        component: ComponentId,
        /// The round that begins: the second, the third, …
        round: u32,
        /// When.
        until: Timestamp,
    },
    /// An operator wants this agent to be asked next.
    EscalationRequested {
        /// In which incident.
        incident: IncidentId,
        /// Whose it is.
        component: ComponentId,
        /// Who.
        agent: PluginId,
        /// Why, in the operator's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Nobody is asked any more.
    IncidentClosed {
        /// Its number.
        incident: IncidentId,
        /// Whose it was.
        component: ComponentId,
        /// How it ended.
        outcome: Closing,
    },
    /// It is not launched again until released.
    Quarantined {
        /// Whose.
        component: ComponentId,
        /// Why.
        reason: QuarantineReason,
        /// The failure it is about.
        failure: Failure,
        /// Launches made in the incident.
        attempts: u32,
    },
    /// An operator let it out on probation: one failure puts it back.
    Released {
        /// Whose.
        component: ComponentId,
        /// Why, in the operator's words.
        note: Option<String>,
    },
    /// It stayed healthy through its probation.
    Reinstated {
        /// Whose.
        component: ComponentId,
    },
    /// A plugin is not called again until released.
    PluginQuarantined {
        /// Which.
        plugin: PluginId,
        /// Why.
        reason: QuarantineReason,
        /// The call it is about.
        failure: Failure,
        /// Calls of the last few that went wrong.
        attempts: u32,
    },
    /// An operator let a plugin be called again, on probation: one misbehaved call puts it back.
    PluginReleased {
        /// Which.
        plugin: PluginId,
        /// Why, in the operator's words.
        note: Option<String>,
    },
    /// A plugin behaved through its probation.
    PluginReinstated {
        /// Which.
        plugin: PluginId,
    },
    /// It was stopped on request and stays so until started.
    Stopped {
        /// Whose.
        component: ComponentId,
    },
    /// An operator asked for it to run again.
    StartRequested {
        /// Whose.
        component: ComponentId,
    },
    /// An operator asked for a fresh process.
    RestartRequested {
        /// Whose.
        component: ComponentId,
    },
    /// An operator asked for it to stop.
    StopRequested {
        /// Whose.
        component: ComponentId,
    },
    /// The files of a component that has been well for its canary period are kept, to be gone back to.
    VersionKept {
        /// Whose.
        component: ComponentId,
        /// What names them.
        version: Digest,
    },
    /// Calls of plugins in an incident were recorded: what came into them from outside, without secrets.
    CallsRecorded {
        /// In which.
        incident: IncidentId,
        /// Whose it is.
        component: ComponentId,
        /// What names the recording, which may be forgotten when it is old.
        calls: Digest,
    },
    /// A record of the original system was taken over. It is history: nothing is decided from it.
    Imported {
        /// The file it stood in, below the directory that was imported.
        source: String,
        /// Which record of that file, from 1.
        record: u64,
        /// Digest of the record's bytes as they stood; bytes that do not fit into `text` are kept under it.
        digest: Digest,
        /// The record as it stood, bounded by who imports it.
        text: String,
        /// When it says it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when: Option<Timestamp>,
        /// Whom it is about, when that is a name a component can have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        component: Option<ComponentId>,
        /// What had to be repaired before it could be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repair: Option<String>,
    },
}

/// Why an agent of the ladder is passed over: closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// There is no such plugin, or nothing is granted to it.
    NotLoaded,
    /// Its credential is missing.
    NoCredential,
    /// The plugin is in quarantine.
    Quarantined,
    /// It was in trouble and is left alone for a time.
    CoolingDown,
    /// Its quota is used up.
    Quota,
    /// What is wrong with it does not change before the host is started again.
    OutOfService,
    /// It cannot be reached in this incident.
    Unavailable,
    /// It is switched off: `RAZAR_RSTAR_THRESHOLD=0`.
    Disabled,
    /// A budget of its own is used up.
    Budget,
}

impl Skip {
    /// The word in facts, answers and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotLoaded => "not-loaded",
            Self::NoCredential => "no-credential",
            Self::Quarantined => "quarantined",
            Self::CoolingDown => "cooling-down",
            Self::Quota => "quota",
            Self::OutOfService => "out-of-service",
            Self::Unavailable => "unavailable",
            Self::Disabled => "disabled",
            Self::Budget => "budget",
        }
    }
}

/// How an incident ended: closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "closing")]
pub enum Closing {
    /// With a patch, it has been well for the whole canary period.
    Repaired {
        /// What names the changes.
        manifest: Digest,
    },
    /// Nobody is left to ask.
    Exhausted,
    /// The patch is taken back, as an operator asked.
    RolledBack,
    /// A patch could not be taken back: somebody has to look at the files.
    Stuck {
        /// Which file, and why.
        error: String,
    },
    /// It does not matter any more.
    Withdrawn {
        /// Why.
        reason: String,
    },
}

impl Closing {
    /// One word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Repaired { .. } => "repaired",
            Self::Exhausted => "exhausted",
            Self::RolledBack => "rolled-back",
            Self::Stuck { .. } => "stuck",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }
}

/// A position in the ledger and the hash of the fact there: whoever keeps one sees when what came before is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Anchor {
    /// Position of the fact; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
}

/// What a host found when it opened the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The newest fact at that moment.
    pub head: Anchor,
    /// What the state file said the newest fact was, when the ledger did not have it: facts were lost or replaced while
    /// no host was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradicted: Option<Anchor>,
}

/// Which question a probe answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Has it come up?
    Startup,
    /// May others use it?
    Readiness,
    /// Must it be restarted?
    Liveness,
}

impl Phase {
    /// The word in logs and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }
}

/// Why a component is not launched again, or a plugin not called: closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineReason {
    /// All launches of an incident failed.
    RetriesExhausted,
    /// It failed too often over several boots.
    FailureLimit,
    /// It failed while on probation.
    Probation,
    /// It cannot be started at all, so it was tried once.
    Unstartable,
    /// Everybody who may repair it was asked, and no repair held.
    NotRepaired,
    /// A patch could not be taken back.
    NotReverted,
    /// An operator asked for it.
    Operator,
    /// A plugin crashed, broke its limits or was denied without end, again and again.
    Misbehaved,
    /// It was in quarantine in the original system when that was imported.
    Imported,
}

impl QuarantineReason {
    /// In words, as the quarantine file and the log row say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RetriesExhausted => "all launches failed",
            Self::FailureLimit => "Exceeded failure limit",
            Self::Probation => "failed while on probation",
            Self::Unstartable => "cannot be started",
            Self::NotRepaired => "no repair held",
            Self::NotReverted => "a patch could not be taken back",
            Self::Operator => "quarantined by the operator",
            Self::Misbehaved => "misbehaved repeatedly",
            Self::Imported => "taken over from the original system",
        }
    }

    /// It failed here, so that it counts towards the failure limit.
    pub const fn is_failure(self) -> bool {
        match self {
            Self::RetriesExhausted
            | Self::FailureLimit
            | Self::Probation
            | Self::Unstartable
            | Self::NotRepaired
            | Self::NotReverted
            | Self::Misbehaved => true,
            Self::Operator | Self::Imported => false,
        }
    }
}

/// A fact as the ledger holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Position, from 1, without gaps.
    pub seq: u64,
    /// When the turn was that wrote it.
    pub at: Timestamp,
    /// The fact.
    pub fact: Fact,
}
