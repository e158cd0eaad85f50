//! The words of the control socket: one JSON object a line, a request first, then its answers. Fields are only ever
//! added; a change of meaning is a new version, and a request of an unknown version is answered with the known one.

use razar_core::id::{ComponentId, PluginId};
use razar_core::supervisor::{Boot, PluginOut, Stage, Status, Summary};
use razar_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::drive::Snapshot;
use crate::report::words::Event;

/// The version of these words.
pub(crate) const VERSION: u32 = 1;

/// Longest request: a diff as long as the gate takes one, with every byte escaped as JSON commonly needs.
pub(crate) const MAX_REQUEST: usize = 2 * razar_core::patch::MAX_PROPOSAL + 4096;
/// Longest answer a client reads: the status of ten thousand components is a few MiB.
pub(crate) const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Longest note an operator may leave: it goes into the ledger for ever.
pub(crate) const MAX_NOTE: usize = 4 * 1024;

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Envelope<T> {
    /// [`VERSION`].
    pub(crate) version: u32,
    /// What is asked.
    pub(crate) request: T,
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Everything at a glance.
    Status {},
    /// Let it run.
    Start {
        /// Whom.
        component: ComponentId,
    },
    /// Let it rest.
    Stop {
        /// Whom.
        component: ComponentId,
    },
    /// Give it a fresh process.
    Restart {
        /// Whom.
        component: ComponentId,
    },
    /// Take it out.
    Quarantine {
        /// Whom.
        component: ComponentId,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Let it back in.
    Release {
        /// Whom.
        component: ComponentId,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Hand its failure over to agents.
    HandOver {
        /// Whom.
        component: ComponentId,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Have an agent asked next about its failure.
    Escalate {
        /// Whom.
        component: ComponentId,
        /// Who is asked.
        agent: PluginId,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Try a diff, and apply it if it is good.
    Patch {
        /// Whose.
        component: ComponentId,
        /// Unified, paths relative to the component's directory.
        diff: String,
    },
    /// Take its newest patch back.
    RollBack {
        /// Whose.
        component: ComponentId,
    },
    /// Call a plugin no more.
    QuarantinePlugin {
        /// Which.
        plugin: PluginId,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Call it again.
    ReleasePlugin {
        /// Which.
        plugin: PluginId,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// What happened.
    Timeline {
        /// Only from this moment on, in milliseconds since the epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<u64>,
        /// And what happens from now on.
        #[serde(default)]
        follow: bool,
    },
    /// Stop everything; answered when it has stopped.
    Shutdown {
        /// Who asks, or why.
        reason: String,
    },
}

/// What comes back: any number of `Event`s, then exactly one of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To `status`.
    Status {
        /// Everything.
        status: Box<StatusView>,
    },
    /// Something happened: to `timeline`, and while everything stops.
    Event {
        /// What.
        event: Event,
    },
    /// It is done, or recorded and under way; after the last event.
    Done {},
    /// It makes no sense now; nothing was changed.
    Refused {
        /// Why, with a remedy.
        message: String,
        /// Nothing has the name that was asked for.
        #[serde(default)]
        unknown: bool,
    },
    /// The request was not understood, or could not be answered.
    Failed {
        /// Why.
        message: String,
        /// What this host speaks.
        version: u32,
    },
}

impl Answer {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), version: VERSION }
    }
}

/// A [`Snapshot`] on the wire, and what `--json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StatusView {
    /// The host that says so; none when it is read from the ledger.
    #[serde(default)]
    pub(crate) host: Option<u32>,
    /// The newest boot.
    pub(crate) boot: Option<BootView>,
    /// Every component.
    pub(crate) components: Vec<ComponentView>,
    /// Every quarantined plugin.
    #[serde(default)]
    pub(crate) plugins: Vec<PluginView>,
    /// Why nothing can be recorded at the moment.
    #[serde(default)]
    pub(crate) stuck: Option<String>,
    /// Layers of the host's wall that are missing; none when no host says so.
    #[serde(default)]
    pub(crate) wall_lacks: Option<Vec<String>>,
}

/// A quarantined plugin on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PluginView {
    /// Its name.
    pub(crate) plugin: PluginId,
    /// Why.
    pub(crate) reason: String,
    /// Since when, in milliseconds since the epoch.
    pub(crate) since: u64,
}

impl From<&PluginOut> for PluginView {
    fn from(out: &PluginOut) -> Self {
        Self { plugin: out.plugin.clone(), reason: out.reason.clone(), since: out.since.0 }
    }
}

/// A boot on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootView {
    /// Its number.
    pub(crate) id: u64,
    /// Milliseconds since the epoch.
    pub(crate) since: u64,
    /// Its mission.
    pub(crate) mission: Option<String>,
    /// In one word.
    pub(crate) stage: String,
}

/// A component on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ComponentView {
    /// Its name.
    pub(crate) component: ComponentId,
    /// In one word.
    pub(crate) state: String,
    /// Since when its process runs, in milliseconds since the epoch.
    pub(crate) since: Option<u64>,
    /// Its process.
    pub(crate) pid: Option<u32>,
    /// Launches in this boot.
    pub(crate) launches: u32,
    /// Why.
    pub(crate) reason: Option<String>,
    /// The mission needs it.
    pub(crate) vital: bool,
    /// Where to look, in one word: of what keeps it out, or of its newest failure.
    #[serde(default)]
    pub(crate) class: Option<String>,
    /// Since when it is in quarantine, in milliseconds since the epoch.
    #[serde(default)]
    pub(crate) quarantined_since: Option<u64>,
    /// The incident about it that is open.
    #[serde(default)]
    pub(crate) incident: Option<u64>,
}

impl From<&Snapshot> for StatusView {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            host: None,
            boot: snapshot.boot.as_ref().map(BootView::from),
            components: snapshot.components.iter().map(ComponentView::from).collect(),
            plugins: snapshot.plugins_out.iter().map(PluginView::from).collect(),
            stuck: snapshot.stuck.clone(),
            wall_lacks: None,
        }
    }
}

impl From<&Boot> for BootView {
    fn from(boot: &Boot) -> Self {
        let stage = crate::report::stage_word(boot.stage).to_owned();
        Self { id: boot.id.0, since: boot.since.0, mission: boot.mission.clone(), stage }
    }
}

impl From<&Summary> for ComponentView {
    fn from(summary: &Summary) -> Self {
        Self {
            component: summary.id.clone(),
            state: summary.status.as_str().to_owned(),
            since: summary.since.map(|since| since.0),
            pid: summary.pid,
            launches: summary.launches,
            reason: summary.reason.clone(),
            vital: summary.vital,
            class: summary.class.map(|class| class.as_str().to_owned()),
            quarantined_since: summary.quarantined.map(|since| since.0),
            incident: summary.incident.map(|incident| incident.0),
        }
    }
}

impl BootView {
    /// Everything has stopped.
    pub(crate) fn is_over(&self) -> bool {
        self.stage == crate::report::stage_word(Stage::Ended)
    }

    /// When it began.
    pub(crate) const fn began(&self) -> Timestamp {
        Timestamp(self.since)
    }
}

impl ComponentView {
    /// It is in quarantine.
    pub(crate) fn is_quarantined(&self) -> bool {
        self.state == Status::Quarantined.as_str()
    }
}
