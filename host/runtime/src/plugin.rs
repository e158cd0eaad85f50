//! A plugin that is loaded: verified, linked, pre-instantiated, with everything resolved that does not depend on a
//! call. Nothing in it changes any more.

use std::sync::Arc;

use razar_core::grant::{Limits, Role, StandingGrant};
use razar_core::id::{Digest, PluginId};
use tokio::sync::Semaphore;

use crate::broker::files::{Scratch, Trees};
use crate::broker::http::HttpShared;
use crate::broker::keyvalue::ValueStore;
use crate::broker::log::LogRate;
use crate::contract::Probe;
use crate::contract::agent::Agent;
use crate::contract::evaluator::Evaluator;
use crate::contract::roles::Export;
use crate::engine::{Engine, EngineKind};
use crate::incident::Incidents;

/// Initial memory above this costs every call: it is cleared each time. Authors' templates link with 256 KiB.
const LARGE_INITIAL_MEMORY: u64 = 512 << 10;

/// What every call of a plugin in one role needs.
pub(crate) struct Shared {
    /// Whose: its values are kept under this name.
    pub(crate) id: PluginId,
    pub(crate) digest: Digest,
    /// What has been said about calls that went wrong.
    pub(crate) incidents: Incidents,
    pub(crate) engine: Arc<Engine>,
    /// Slots one call takes.
    pub(crate) weight: u32,
    pub(crate) limits: Limits,
    pub(crate) grant: Arc<StandingGrant>,
    /// Calls of this plugin at once.
    pub(crate) turns: Semaphore,
    /// What it may print over all its calls.
    pub(crate) log_rate: LogRate,
    /// Where copies for a call lie; only plugins with directories need one.
    pub(crate) scratch: Option<Scratch>,
    /// What it has written in directories it was granted.
    pub(crate) trees: Trees,
    pub(crate) egress: Arc<HttpShared>,
    pub(crate) values: Arc<dyn ValueStore>,
}

/// A plugin in one of its roles.
pub(crate) struct InRole {
    pub(crate) role: Role,
    pub(crate) shared: Arc<Shared>,
}

/// A verified, linked and pre-instantiated plugin.
pub struct LoadedPlugin {
    pub(crate) inspection: Inspection,
    pub(crate) roles: Vec<InRole>,
    pub(crate) probe: Option<Box<dyn Probe>>,
    pub(crate) agent: Option<Box<dyn Agent>>,
    pub(crate) evaluator: Option<Box<dyn Evaluator>>,
}

impl LoadedPlugin {
    /// Its name.
    pub const fn id(&self) -> &PluginId {
        &self.inspection.id
    }

    /// What is known about it.
    pub const fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// It as a probe, if it is one.
    pub fn probe(&self) -> Option<&dyn Probe> {
        self.probe.as_deref()
    }

    /// It as an agent, if it is one.
    pub fn agent(&self) -> Option<&dyn Agent> {
        self.agent.as_deref()
    }

    /// It as an evaluator, if it is one.
    pub fn evaluator(&self) -> Option<&dyn Evaluator> {
        self.evaluator.as_deref()
    }

    /// What one call in a role may use.
    pub fn limits(&self, role: Role) -> Option<&Limits> {
        self.in_role(role).map(|shared| &shared.limits)
    }

    /// What it may reach in a role, before a call adds what it is about.
    pub fn grant(&self, role: Role) -> Option<&Arc<StandingGrant>> {
        self.in_role(role).map(|shared| &shared.grant)
    }

    /// Which engine runs it in a role.
    pub fn engine(&self, role: Role) -> Option<EngineKind> {
        self.in_role(role).map(|shared| shared.engine.kind())
    }

    fn in_role(&self, role: Role) -> Option<&Shared> {
        self.roles.iter().find(|entry| entry.role == role).map(|entry| entry.shared.as_ref())
    }
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPlugin").field("inspection", &self.inspection).finish_non_exhaustive()
    }
}

/// What a look at a plugin shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Its name.
    pub id: PluginId,
    /// Identity of its code.
    pub digest: Digest,
    /// Bytes of wasm.
    pub size: u64,
    /// What it is for.
    pub roles: Vec<Export>,
    /// Interfaces it imports.
    pub imports: Vec<String>,
    /// Bytes of linear memory that every call begins with.
    pub initial_memory: u64,
    /// Where its native code came from.
    pub code: CodeSource,
    /// What its author or operator should know.
    pub warnings: Vec<Warning>,
}

impl Inspection {
    pub(crate) fn warn_about_memory(&mut self) {
        // Who waits for a model, or runs somebody's tests, does not notice a cleared stack; a probe by the thousand does.
        let often = self.roles.iter().any(|export| export.role == Role::Probe);
        if often && self.initial_memory > LARGE_INITIAL_MEMORY {
            self.warnings.push(Warning::LargeInitialMemory { bytes: self.initial_memory });
        }
    }
}

/// Where native code came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeSource {
    /// The cache vouched for it.
    Cached,
    /// Compiled just now.
    Compiled,
}

/// Something that works but should not stay as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Every call clears this much.
    LargeInitialMemory {
        /// How much.
        bytes: u64,
    },
    /// Somebody else wrote the cached code, or changed it.
    ForeignCode,
    /// The code could not be kept for next time.
    NotCached(String),
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LargeInitialMemory { bytes } => write!(
                f,
                "initial memory is {} KiB, every call clears it: link with `-zstack-size=65536 --initial-memory=262144`",
                bytes >> 10
            ),
            Self::ForeignCode => f.write_str(
                "its cached code was not written by this host, or was changed since: compiled again",
            ),
            Self::NotCached(reason) => {
                write!(f, "its code was not kept, the next start compiles again: {reason}")
            }
        }
    }
}
