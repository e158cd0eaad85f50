//! What a bundle is about, and which facts that are. A fact about an effect carries its number alone, so effects are
//! followed from the fact that decided them.

use std::collections::HashSet;
use std::fmt;

use razar_core::fact::{Fact, Recorded};
use razar_core::id::{ComponentId, EffectId};
use serde::{Deserialize, Serialize};

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Facts about this component.
    pub component: ComponentId,
    /// From this position on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// Up to this position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

impl About {
    /// Whether a position was asked for.
    pub fn spans(&self, seq: u64) -> bool {
        self.from.is_none_or(|from| seq >= from) && self.to.is_none_or(|to| seq <= to)
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, from, to } = self;
        write!(f, "{component}")?;
        if let Some(from) = from {
            write!(f, " from fact {from}")?;
        }
        match to {
            Some(to) => write!(f, " to fact {to}"),
            None => Ok(()),
        }
    }
}

/// Chooses, fact by fact, from the first one on.
pub(super) struct Choice {
    about: About,
    effects: HashSet<EffectId>,
}

impl Choice {
    pub(super) fn new(about: &About) -> Self {
        Self { about: about.clone(), effects: HashSet::new() }
    }

    pub(super) fn takes(&mut self, recorded: &Recorded) -> bool {
        let taken = self.is_about(&recorded.fact);
        taken && self.about.spans(recorded.seq)
    }

    fn is_about(&mut self, fact: &Fact) -> bool {
        let wanted = &self.about.component;
        match fact {
            Fact::EffectDecided { id, effect } => {
                let ours = effect.component() == wanted;
                if ours {
                    self.effects.insert(*id);
                }
                ours
            }
            Fact::EffectStarted { id } => self.effects.contains(id),
            Fact::EffectFinished { id, .. } | Fact::EffectUnknown { id } => self.effects.remove(id),
            Fact::BootStarted { components, .. } => components.contains(wanted),
            Fact::BootCompleted { ready, absent, .. } => ready.contains(wanted) || absent.contains(wanted),
            Fact::Imported { component, .. } => component.as_ref() == Some(wanted),
            Fact::BootHalted { component, .. }
            | Fact::Adopted { component, .. }
            | Fact::Exited { component, .. }
            | Fact::Ready { component, .. }
            | Fact::HealthChanged { component, .. }
            | Fact::FlappingStarted { component, .. }
            | Fact::FlappingEnded { component }
            | Fact::Failed { component, .. }
            | Fact::BackingOff { component, .. }
            | Fact::IncidentOpened { component, .. }
            | Fact::RollbackRequested { component, .. }
            | Fact::Escalated { component, .. }
            | Fact::EscalationWarned { component, .. }
            | Fact::RungSkipped { component, .. }
            | Fact::RoundBegan { component, .. }
            | Fact::EscalationRequested { component, .. }
            | Fact::IncidentClosed { component, .. }
            | Fact::Quarantined { component, .. }
            | Fact::Released { component, .. }
            | Fact::Reinstated { component }
            | Fact::Stopped { component }
            | Fact::VersionKept { component, .. }
            | Fact::CallsRecorded { component, .. }
            | Fact::StartRequested { component }
            | Fact::RestartRequested { component }
            | Fact::StopRequested { component } => component == wanted,
            Fact::BootResumed { .. }
            | Fact::BootEnded { .. }
            | Fact::ShutdownStarted { .. }
            | Fact::PluginQuarantined { .. }
            | Fact::PluginReleased { .. }
            | Fact::PluginReinstated { .. } => false,
        }
    }
}
