//! What a boot configuration means: validated, cross-checked, closed. Never `Deserialize`: the only way to a
//! [`BootPlan`] is through a document that has no problems.

mod address;
mod build;
mod confine;
mod json;
mod ladder;
mod money;
mod order;
mod patch;
mod place;
mod probe;
mod read;
mod repair;
mod roster;
mod signal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::fact::Phase;
use crate::id::{ComponentId, Digest, PluginId};
use crate::patch::Rules;
use crate::problem::Problem;
use crate::time::Millis;

pub use build::{Context, MAX_DOCUMENT, Overrides, Plugins, SettingsProblem, build, count_components};
pub use confine::{Confinement, Limit};
pub use ladder::{Budget, Climbing, Hops, Ladder, RSTAR, Reorder, Rung};
pub use money::{Money, Price};
pub use patch::{Patchable, patchable};
pub use repair::{RepairPlan, TestCommand};
pub use roster::{Listed, MAX_ROSTER, Roster, active, plugin_of, with_active};

/// A validated boot order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BootPlan {
    /// What the document calls the mission, unless the command line names one.
    pub mission: Option<String>,
    /// In document order, which is also the order of ties.
    pub components: Vec<ComponentPlan>,
    /// The layers' names in boot order; empty when the document knows none.
    pub layers: Vec<String>,
    /// What holds nothing up and is probably a mistake.
    pub warnings: Vec<Problem>,
}

/// One service of the stack.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentPlan {
    /// Its name.
    pub id: ComponentId,
    /// Place in the boot order: everything of a lower layer is settled before this starts.
    pub layer: u32,
    /// What to run: an argument vector, never a shell line.
    pub command: Vec<String>,
    /// Added to the host's own (reduced) environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs; the directory of the configuration file unless said otherwise. Absolute.
    pub workdir: String,
    /// The user it runs as; the host's own unless said otherwise.
    pub user: Option<String>,
    /// What is taken from its processes before they begin.
    pub confine: Confinement,
    /// Digest of everything above that makes the process what it is: a change means the running one is outdated.
    pub spec: Digest,
    /// These are ready before it starts. Validated: all exist, no cycles.
    pub depends_on: Vec<ComponentId>,
    /// Without it the mission has failed: its failure during boot halts the boot.
    pub vital: bool,
    /// How its health is asked for.
    pub probes: Probes,
    /// What happens when it fails.
    pub restart: RestartPolicy,
    /// How it is asked to end.
    pub stop: StopPolicy,
    /// What of its directory may be patched.
    pub patch: Rules,
    /// Who repairs it, and how a repair is judged; without one its files are never changed.
    pub repair: Option<RepairPlan>,
}

/// One probe per phase. A document with a single `health` uses it for startup and liveness.
#[derive(Debug, Clone, PartialEq)]
pub struct Probes {
    /// Asked until it first succeeds; its `deadline` bounds the start.
    pub startup: ProbePlan,
    /// Decides whether others may depend on it; failing it restarts nothing.
    pub readiness: Option<ProbePlan>,
    /// Decides whether it must be restarted.
    pub liveness: Option<ProbePlan>,
}

impl Probes {
    /// The one that answers this question.
    pub const fn of(&self, phase: Phase) -> Option<&ProbePlan> {
        match phase {
            Phase::Startup => Some(&self.startup),
            Phase::Readiness => self.readiness.as_ref(),
            Phase::Liveness => self.liveness.as_ref(),
        }
    }

    /// All there are.
    pub fn all(&self) -> impl Iterator<Item = (Phase, &ProbePlan)> {
        [Phase::Startup, Phase::Readiness, Phase::Liveness]
            .into_iter()
            .filter_map(move |phase| Some((phase, self.of(phase)?)))
    }
}

/// A check and when its answers count.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbePlan {
    /// What is asked.
    pub check: Check,
    /// How often and how patiently.
    pub schedule: Schedule,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// A sandboxed probe.
    Plugin {
        /// Which.
        plugin: PluginId,
        /// Where this call may connect: a URL or `host:port`.
        address: Option<String>,
        /// The file whose tail this call may read.
        log: Option<LogSource>,
        /// JSON object, validated against the plugin's settings schema before boot.
        settings: String,
        /// Who may answer at the address.
        listener: Listener,
    },
    /// An argument vector with Nagios exit codes, run by the launcher. Not sandboxed.
    Command(Vec<String>),
    /// None was configured: a process that lives is healthy.
    Process,
}

/// Who may answer at an address of this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listener {
    /// The component's own processes.
    #[default]
    Own,
    /// Whoever listens there.
    Any,
}

impl Check {
    /// The plugin that answers, if one does.
    pub const fn plugin(&self) -> Option<&PluginId> {
        match self {
            Self::Plugin { plugin, .. } => Some(plugin),
            Self::Command(_) | Self::Process => None,
        }
    }

    /// `host:port` of the address it asks, if it asks one.
    pub fn authority(&self) -> Option<&str> {
        let Self::Plugin { address: Some(address), .. } = self else { return None };
        let after = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
        after.split(['/', '?', '#']).next().filter(|authority| authority.contains(':'))
    }
}

/// Where a log probe's tail comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogSource {
    /// What the component itself printed.
    Output,
    /// A file named by the operator.
    File(String),
}

/// When answers count: K failures of the last N make it fail, so many successes in a row make it well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Between the end of one answer and the next question.
    pub interval: Millis,
    /// One question's deadline.
    pub timeout: Millis,
    /// Startup only: from launch to the first success.
    pub deadline: Millis,
    /// K.
    pub failures: u32,
    /// N, at most `crate::detect::MAX_WINDOW`; at least K.
    pub window: u32,
    /// In a row, after having failed.
    pub successes: u32,
}

/// What happens when a component fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Launches after the first before it is quarantined.
    pub retries: u32,
    /// Before the second launch; doubles with each further one.
    pub backoff: Millis,
    /// Where doubling ends.
    pub backoff_max: Millis,
    /// Healthy for so long forgives one failure.
    pub forgive_after: Millis,
}

/// How a component is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopPolicy {
    /// First signal, by number as the platform counts (15 = SIGTERM).
    pub signal: i32,
    /// Before SIGKILL.
    pub grace: Millis,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            retries: 3,
            backoff: Millis::seconds(1),
            backoff_max: Millis::seconds(60),
            forgive_after: Millis::seconds(600),
        }
    }
}

impl Default for StopPolicy {
    fn default() -> Self {
        Self { signal: 15, grace: Millis::seconds(10) }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            interval: Millis::seconds(10),
            timeout: Millis::seconds(5),
            deadline: Millis::seconds(60),
            failures: 3,
            window: 3,
            successes: 1,
        }
    }
}
