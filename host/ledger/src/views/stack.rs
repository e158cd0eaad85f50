//! The stack as the facts tell it: just enough of it for the files operators read. The supervisor's state decides;
//! this one only describes.

use std::collections::{BTreeMap, HashMap, HashSet};

use razar_core::effect::{Effect, EffectOutcome, ExitStatus};
use razar_core::fact::{Fact, Phase, Recorded};
use razar_core::failure::FailureKind;
use razar_core::id::{ComponentId, EffectId};
use razar_core::time::Timestamp;

/// One component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) condition: Condition,
    /// Its newest process has not become ready.
    pub(super) launching: bool,
    /// It has failed since it last became ready.
    pub(super) failing: bool,
    /// Its liveness probe has already been reported as failing.
    pub(super) reported: bool,
    /// How the process ended that was asked to.
    pub(super) exit: Option<ExitStatus>,
}

/// The word in `razar_state.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Waiting,
    Starting,
    Running,
    Unready,
    Failed,
    BackingOff,
    Repairing,
    Quarantined,
    Stopped,
}

impl Condition {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Unready => "unready",
            Self::Failed => "failed",
            Self::BackingOff => "backing_off",
            Self::Repairing => "repairing",
            Self::Quarantined => "quarantined",
            Self::Stopped => "stopped",
        }
    }
}

/// The boot under way, or the last one.
#[derive(Debug, Clone)]
pub(super) struct Boot {
    pub(super) mission: Option<String>,
    pub(super) started: Timestamp,
}

/// The fold.
#[derive(Debug, Default)]
pub(super) struct Stack {
    pub(super) boot: Option<Boot>,
    /// In document order; a quarantined one that is no longer configured comes last.
    pub(super) order: Vec<ComponentId>,
    components: BTreeMap<ComponentId, Component>,
    /// Why each is not trusted with its files as they are: its newest failure, or an operator's word.
    doubts: BTreeMap<ComponentId, String>,
    /// Incidents that are open: the failure each is about, and how many attempts there were.
    incidents: BTreeMap<ComponentId, (String, u32)>,
    /// Decided and not over.
    effects: HashMap<EffectId, Effect>,
    /// Everything is being stopped.
    pub(super) ending: bool,
    /// A vital component has ended this boot; whether what was changed for it is as it was.
    pub(super) halted: Option<bool>,
}

impl Default for Component {
    fn default() -> Self {
        Self { condition: Condition::Waiting, launching: false, failing: false, reported: false, exit: None }
    }
}

impl Stack {
    /// One component; as new when nothing is known about it.
    pub(super) fn component(&self, id: &ComponentId) -> Component {
        self.components.get(id).copied().unwrap_or_default()
    }

    /// How a boot that was halted leaves what was changed for it.
    pub(super) const fn rolled_back(&self) -> &'static str {
        match self.halted {
            Some(false) => "Boot sequence halted; not everything could be rolled back: see above",
            _ => "Boot sequence halted; configuration rolled back to safe defaults",
        }
    }

    /// In quarantine now.
    pub(super) fn is_quarantined(&self, id: &ComponentId) -> bool {
        self.component(id).condition == Condition::Quarantined
    }

    /// Why its files are changed back.
    pub(super) fn doubt(&self, id: &ComponentId) -> &str {
        self.doubts.get(id).map(String::as_str).unwrap_or_default()
    }

    /// The failure that agents are asked about.
    pub(super) fn error(&self, id: &ComponentId) -> &str {
        self.incidents.get(id).map(|(error, _)| error.as_str()).unwrap_or_default()
    }

    /// How many attempts there were at repairing it.
    pub(super) fn attempts(&self, id: &ComponentId) -> u32 {
        self.incidents.get(id).map_or(0, |(_, attempts)| *attempts)
    }

    /// The effect behind a number.
    pub(super) fn effect(&self, id: EffectId) -> Option<&Effect> {
        self.effects.get(&id)
    }

    /// The component whose process is about to be started by this effect.
    pub(super) fn launched(&self, id: EffectId) -> Option<&ComponentId> {
        match self.effect(id)? {
            Effect::Start(start) => Some(&start.component),
            Effect::Stop(_)
            | Effect::Attempt(_)
            | Effect::Apply(_)
            | Effect::Revert(_)
            | Effect::Roster(_) => None,
        }
    }

    /// Takes one fact in.
    pub(super) fn apply(&mut self, recorded: &Recorded) {
        match &recorded.fact {
            Fact::BootStarted { mission, components, .. } => {
                self.boot = Some(Boot { mission: mission.clone(), started: recorded.at });
                self.effects.clear();
                self.ending = false;
                self.halted = None;
                self.components.retain(|_, component| component.condition == Condition::Quarantined);
                for id in components {
                    self.components.entry(id.clone()).or_default();
                }
                let mut seen = HashSet::new();
                let all = components.iter().chain(self.components.keys());
                self.order = all.filter(|id| seen.insert(*id)).cloned().collect();
            }
            Fact::BootEnded { .. } => {
                for component in
                    self.components.values_mut().filter(|c| c.condition != Condition::Quarantined)
                {
                    *component = Component { condition: Condition::Stopped, ..Component::default() };
                }
            }
            Fact::EffectDecided { id, effect } => {
                if let Effect::Attempt(attempt) = effect
                    && let Some((_, attempts)) = self.incidents.get_mut(&attempt.component)
                {
                    *attempts = attempt.number;
                }
                self.effects.insert(*id, effect.clone());
            }
            Fact::EffectStarted { id } => {
                if let Some(component) = self.launched(*id).cloned() {
                    self.set(&component, |c| {
                        c.condition = Condition::Starting;
                        c.launching = true;
                        c.reported = false;
                        c.exit = None;
                    });
                }
            }
            Fact::EffectFinished { id, outcome } => {
                let effect = self.effects.remove(id);
                match (effect, outcome) {
                    (Some(effect), EffectOutcome::Ended { exit }) => {
                        self.set(effect.component(), |c| c.exit = Some(*exit));
                    }
                    (Some(Effect::Revert(_) | Effect::Roster(_)), EffectOutcome::NotChanged { .. }) => {
                        self.halted = self.halted.map(|_| false);
                    }
                    _ => {}
                }
            }
            Fact::EffectUnknown { id } => drop(self.effects.remove(id)),
            Fact::Exited { component, asked, exit, .. } => self.set(component, |c| {
                c.exit = asked.then_some(*exit);
                let up = matches!(c.condition, Condition::Starting | Condition::Running | Condition::Unready);
                if up {
                    c.condition = if *asked { Condition::Stopped } else { Condition::Failed };
                }
            }),
            Fact::Ready { component, .. } => self.set(component, |c| {
                *c = Component { condition: Condition::Running, ..Component::default() };
            }),
            Fact::HealthChanged { component, phase, healthy, .. } => self.set(component, |c| match phase {
                Phase::Startup => {}
                Phase::Readiness => match (c.condition, healthy) {
                    (Condition::Running, false) => c.condition = Condition::Unready,
                    (Condition::Unready, true) => c.condition = Condition::Running,
                    _ => {}
                },
                Phase::Liveness => c.reported = !healthy,
            }),
            Fact::Failed { component, failure, .. } => {
                self.doubts.insert(component.clone(), failure.error.clone());
                self.set(component, |c| {
                    c.condition = Condition::Failed;
                    c.failing = true;
                    c.reported = failure.kind == FailureKind::Liveness;
                });
            }
            Fact::RollbackRequested { component, .. } => {
                self.doubts.insert(component.clone(), "an operator takes it back".to_owned());
            }
            Fact::IncidentClosed { component, .. } => {
                self.doubts.remove(component);
                self.incidents.remove(component);
            }
            Fact::BackingOff { component, .. } => {
                self.set(component, |c| c.condition = Condition::BackingOff)
            }
            Fact::IncidentOpened { component, failure, diff, .. } => {
                self.incidents.insert(component.clone(), (failure.error.clone(), 0));
                if diff.is_none() {
                    self.set(component, |c| c.condition = Condition::Repairing);
                }
            }
            Fact::Quarantined { component, .. } => {
                self.set(component, |c| c.condition = Condition::Quarantined)
            }
            Fact::Released { component, .. } => self.set(component, |c| *c = Component::default()),
            Fact::Stopped { component } => self.set(component, |c| {
                c.condition = Condition::Stopped;
                c.exit = None;
            }),
            Fact::StartRequested { component } => self.set(component, |c| {
                if c.condition == Condition::Stopped {
                    c.condition = Condition::Waiting;
                }
            }),
            Fact::BootHalted { .. } => {
                self.ending = true;
                self.halted = Some(true);
            }
            Fact::ShutdownStarted { .. } => self.ending = true,
            Fact::BootCompleted { .. }
            | Fact::BootResumed { .. }
            | Fact::Adopted { .. }
            | Fact::FlappingStarted { .. }
            | Fact::FlappingEnded { .. }
            | Fact::Reinstated { .. }
            | Fact::PluginQuarantined { .. }
            | Fact::PluginReleased { .. }
            | Fact::PluginReinstated { .. }
            | Fact::RestartRequested { .. }
            | Fact::Escalated { .. }
            | Fact::EscalationWarned { .. }
            | Fact::RungSkipped { .. }
            | Fact::RoundBegan { .. }
            | Fact::EscalationRequested { .. }
            | Fact::StopRequested { .. }
            | Fact::VersionKept { .. }
            | Fact::CallsRecorded { .. }
            | Fact::Imported { .. } => {}
        }
    }

    fn set(&mut self, id: &ComponentId, change: impl FnOnce(&mut Component)) {
        if !self.components.contains_key(id) {
            self.order.push(id.clone());
        }
        change(self.components.entry(id.clone()).or_default());
    }
}
