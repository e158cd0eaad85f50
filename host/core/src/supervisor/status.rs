//! What an operator is told about a component: one word, derived, never stored.

use crate::failure::FailureClass;
use crate::id::{ComponentId, IncidentId};
use crate::incident::Incident;
use crate::time::Timestamp;

use super::{Component, Life, Quarantine, Stage, State};

/// One word for one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Not yet launched: a layer or a dependency is still to come.
    Waiting,
    /// A dependency is quarantined or stopped.
    Blocked,
    /// Launched, not yet ready.
    Starting,
    /// Ready.
    Ready,
    /// Ready once, and its readiness probe fails now.
    Unready,
    /// Ready, and its health changes too often to be acted on.
    Flapping,
    /// Failed; it will be launched again.
    BackingOff,
    /// Failed; somebody is asked for a patch, or one is being applied or taken back.
    Repairing,
    /// Being ended.
    Stopping,
    /// Stopped on request, or with the whole stack.
    Stopped,
    /// Taken out.
    Quarantined,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Waiting,
        Self::Blocked,
        Self::Starting,
        Self::Ready,
        Self::Unready,
        Self::Flapping,
        Self::BackingOff,
        Self::Repairing,
        Self::Stopping,
        Self::Stopped,
        Self::Quarantined,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Unready => "unready",
            Self::Flapping => "flapping",
            Self::BackingOff => "backing-off",
            Self::Repairing => "repairing",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Quarantined => "quarantined",
        }
    }
}

/// What an operator is told about one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub id: ComponentId,
    /// One word.
    pub status: Status,
    /// Why, when the word alone does not say it.
    pub reason: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// Since when the process runs.
    pub since: Option<Timestamp>,
    /// Launches in this boot.
    pub launches: u32,
    /// The mission needs it.
    pub vital: bool,
    /// Where to look: of what keeps it out, or of its newest failure in this boot.
    pub class: Option<FailureClass>,
    /// Since when it is in quarantine.
    pub quarantined: Option<Timestamp>,
    /// The incident about it that is open.
    pub incident: Option<IncidentId>,
}

impl State {
    /// All components, in the configuration's order.
    pub fn summaries(&self) -> impl Iterator<Item = Summary> + '_ {
        (0..self.durable.components.len()).filter_map(|at| self.summary(at))
    }

    /// One component.
    pub fn summary_of(&self, id: &ComponentId) -> Option<Summary> {
        self.summary(*self.durable.index.get(id)?)
    }

    /// Incidents that are open, also of components that no plan names.
    pub fn incidents(&self) -> impl Iterator<Item = (&ComponentId, IncidentId)> {
        self.durable.components.iter().filter_map(|known| Some((&known.id, known.incident.as_ref()?.id)))
    }

    fn summary(&self, at: usize) -> Option<Summary> {
        let component = self.durable.components.get(at)?;
        let plan = self.plans.get(at)?.as_ref();
        if plan.is_none() && component.life == Life::Down && !component.custody.is_out() {
            return None;
        }
        let status = self.status(at, component);
        let (pid, since) = match component.life {
            Life::Up { process, since, .. } => (Some(process.pid), Some(since)),
            _ => (None, None),
        };
        Some(Summary {
            id: component.id.clone(),
            status,
            reason: self.reason(at, component, status),
            pid,
            since,
            launches: component.launches,
            vital: plan.is_some_and(|plan| plan.vital),
            class: component
                .custody
                .quarantine()
                .map(|quarantine| &quarantine.failure)
                .or(component.last_failure.as_ref())
                .map(|failure| failure.class),
            quarantined: component.custody.quarantine().map(|quarantine| quarantine.since),
            incident: component.incident.as_ref().map(|incident| incident.id),
        })
    }

    fn status(&self, at: usize, component: &Component) -> Status {
        match component.life {
            Life::Launching { .. } => Status::Starting,
            Life::Stopping { .. } => Status::Stopping,
            Life::Up { ready: None, .. } => Status::Starting,
            Life::Up { .. } if component.flapping => Status::Flapping,
            Life::Up { .. } if component.unready => Status::Unready,
            Life::Up { .. } => Status::Ready,
            Life::Down if component.custody.is_out() => Status::Quarantined,
            Life::Down if component.stopped || self.stage_is_over() => Status::Stopped,
            Life::Down if component.is_kept_down() => Status::Repairing,
            Life::Down if self.volatile.at(at).is_some_and(|v| v.blocked) => Status::Blocked,
            Life::Down if component.backing_off.is_some() => Status::BackingOff,
            Life::Down => Status::Waiting,
        }
    }

    fn stage_is_over(&self) -> bool {
        self.durable.boot.as_ref().is_none_or(|boot| boot.stage.stops() || boot.stage == Stage::Ended)
    }

    fn reason(&self, at: usize, component: &Component, status: Status) -> Option<String> {
        if let Some(unknown) = self.unknown_health(at) {
            return Some(unknown);
        }
        let complaint = || self.volatile.at(at).map(|v| v.complaint.clone()).filter(|text| !text.is_empty());
        match status {
            Status::Quarantined => component.custody.quarantine().map(Quarantine::words),
            Status::Blocked | Status::Waiting => {
                let waits = self.volatile.dependencies.get(at)?.iter().filter_map(|dependency| {
                    let other = self.durable.components.get(*dependency)?;
                    (other.life.ready_since().is_none() || other.unready).then(|| other.id.to_string())
                });
                let waits: Vec<String> = waits.take(4).collect();
                (!waits.is_empty()).then(|| format!("waits for {}", waits.join(", ")))
            }
            Status::Unready | Status::Starting => complaint(),
            Status::Flapping => {
                let now = complaint().map(|text| format!("; now: {text}")).unwrap_or_default();
                Some(format!("its health changes too often{now}"))
            }
            Status::Repairing | Status::Ready => component.incident.as_ref().map(Incident::words),
            Status::BackingOff => component.last_failure.as_ref().map(|failure| failure.error.clone()),
            _ => None,
        }
    }
}
