//! `logs/razar.log`: one JSON object a line, keys in the order operators' readers expect. A component whose newest
//! line says `success` is well; `timeline` and `summary` read nothing else.

use razar_core::count::counted;
use razar_core::effect::{Effect, EffectOutcome, RosterChange};
use razar_core::fact::{Closing, Fact, Recorded};
use razar_core::id::ComponentId;
use serde::Serialize;

use super::escape;
use super::stack::{Condition, Stack};
use crate::moment;

/// Below the root of the views.
pub(super) const NAME: &str = "logs/razar.log";
/// Who an event is about when it is about all.
const SYSTEM: &str = "system";

#[derive(Serialize)]
struct Line<'a> {
    event: Event,
    component: &'a str,
    status: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
}

/// The vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A component or the stack came up.
    Start,
    /// A probe changed its mind.
    Health,
    /// Something failed.
    Error,
    /// It came back.
    Recovery,
    /// It is not launched again.
    Quarantine,
    /// A patch was asked for, tried, applied or taken back.
    Patch,
    /// It was let out.
    Resolved,
    /// It was asked to end.
    Shutdown,
}

impl Event {
    /// The word in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Health => "health",
            Self::Error => "error",
            Self::Recovery => "recovery",
            Self::Quarantine => "quarantine",
            Self::Patch => "patch",
            Self::Resolved => "resolved",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The lines of one fact.
pub(super) fn lines(before: &Stack, recorded: &Recorded, out: &mut String) {
    if let Some((event, component, status, details)) = event(before, &recorded.fact) {
        let line = Line { event, component, status, timestamp: moment::offset(recorded.at), details };
        out.push_str(&escape::json_line(&line));
        out.push('\n');
    }
}

/// Event, component, status, details.
pub(super) type Told<'a> = (Event, &'a str, &'static str, Option<String>);

/// What a fact means to the readers of the log.
pub(super) fn event<'a>(before: &'a Stack, fact: &'a Fact) -> Option<Told<'a>> {
    Some(match fact {
        Fact::BootStarted { boot, mission, long_task, .. } => {
            let mission =
                mission.as_deref().map(|mission| format!(", mission {mission}")).unwrap_or_default();
            let long = if *long_task { ", long task" } else { "" };
            (Event::Start, SYSTEM, "started", Some(format!("boot {boot}{mission}{long}")))
        }
        Fact::BootResumed { boot, host, long_task, .. } => {
            let long = if *long_task { ", long task" } else { "" };
            (Event::Recovery, SYSTEM, "resumed", Some(format!("boot {boot} by razar-host {host}{long}")))
        }
        Fact::BootCompleted { took, absent, .. } if absent.is_empty() => {
            (Event::Start, SYSTEM, "success", Some(format!("in {} ms", took.0)))
        }
        Fact::BootCompleted { took, absent, .. } => {
            let absent: Vec<_> = absent.iter().map(|component| component.as_str()).collect();
            (Event::Start, SYSTEM, "partial", Some(format!("in {} ms without {}", took.0, absent.join(", "))))
        }
        Fact::BootHalted { component, reason, .. } => {
            (Event::Error, SYSTEM, "halted", Some(format!("{component}: {reason}")))
        }
        Fact::ShutdownStarted { reason } => (Event::Shutdown, SYSTEM, "started", Some(reason.clone())),
        Fact::BootEnded { .. } if before.halted.is_some() => {
            (Event::Error, SYSTEM, "rolled-back", Some(before.rolled_back().to_owned()))
        }
        Fact::BootEnded { .. } => (Event::Shutdown, SYSTEM, "success", None),
        Fact::Adopted { component, process, .. } => {
            let status = well_or(before, component, "adopted");
            (Event::Recovery, component.as_str(), status, Some(format!("adopted, pid {}", process.pid)))
        }
        Fact::Stopped { component } => {
            let exit = before.component(component).exit.map(|exit| exit.to_string());
            (Event::Shutdown, component.as_str(), "stopped", exit)
        }
        Fact::Ready { component, took, .. } => {
            let event = if before.component(component).failing { Event::Recovery } else { Event::Start };
            (event, component.as_str(), "success", Some(format!("ready after {} ms", took.0)))
        }
        Fact::HealthChanged { component, phase, healthy, summary } => {
            let status = if *healthy { "success" } else { "fail" };
            (Event::Health, component.as_str(), status, Some(format!("{}: {summary}", phase.as_str())))
        }
        Fact::FlappingStarted { component, changes } => {
            (Event::Health, component.as_str(), "flapping", Some(counted(*changes as usize, "change")))
        }
        Fact::FlappingEnded { component } => {
            let status = well_or(before, component, "steady");
            (Event::Health, component.as_str(), status, Some("steady again".to_owned()))
        }
        Fact::Failed { component, attempt, failure, .. } => {
            (Event::Error, component.as_str(), "fail", Some(format!("attempt {attempt}: {}", failure.error)))
        }
        Fact::Quarantined { component, reason, failure, .. } => {
            let details = format!("{}: {}", reason.as_str(), failure.error);
            (Event::Quarantine, component.as_str(), "quarantined", Some(details))
        }
        Fact::Released { component, note } => (Event::Resolved, component.as_str(), "released", note.clone()),
        Fact::Reinstated { component } => (Event::Resolved, component.as_str(), "success", None),
        Fact::PluginQuarantined { plugin, reason, failure, .. } => {
            let details = format!("plugin, {}: {}", reason.as_str(), failure.error);
            (Event::Quarantine, plugin.as_str(), "quarantined", Some(details))
        }
        Fact::PluginReleased { plugin, note } => {
            let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            (Event::Resolved, plugin.as_str(), "released", Some(format!("plugin{note}")))
        }
        Fact::PluginReinstated { plugin } => {
            (Event::Resolved, plugin.as_str(), "success", Some("plugin".to_owned()))
        }
        Fact::IncidentOpened { incident, component, failure, .. } => {
            let details = format!("incident {incident}: {}", failure.error);
            (Event::Patch, component.as_str(), "requested", Some(details))
        }
        Fact::RollbackRequested { component, manifest, .. } => {
            (Event::Patch, component.as_str(), "rollback", Some(manifest.to_string()))
        }
        Fact::Escalated { component, from, name, escalations, .. } => {
            let details = format!("from {from} to {name}, escalation {escalations}");
            (Event::Patch, component.as_str(), "escalated", Some(details))
        }
        Fact::EscalationWarned { component, escalations, .. } => {
            let details = format!("triggered {escalations} escalations during the current boot cycle");
            (Event::Error, component.as_str(), "warning", Some(details))
        }
        Fact::RungSkipped { component, name, reason, why, .. } => {
            let details = format!("{name}: {}: {why}", reason.as_str());
            (Event::Patch, component.as_str(), "skipped", Some(details))
        }
        Fact::RoundBegan { component, round, .. } => {
            (Event::Patch, component.as_str(), "round", Some(format!("round {round} through the ladder")))
        }
        Fact::EscalationRequested { component, agent, note, .. } => {
            let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            (Event::Patch, component.as_str(), "requested", Some(format!("{agent}{note}")))
        }
        Fact::IncidentClosed { incident, component, outcome } => {
            let repaired = matches!(outcome, Closing::Repaired { .. });
            let event = if repaired { Event::Resolved } else { Event::Patch };
            let status = if repaired { "success" } else { outcome.as_str() };
            (event, component.as_str(), status, Some(format!("incident {incident}")))
        }
        Fact::EffectFinished { id, outcome } => {
            let (component, status, details) = mended(before.effect(*id)?, outcome)?;
            (Event::Patch, component, status, Some(details))
        }
        Fact::Exited { .. }
        | Fact::EffectDecided { .. }
        | Fact::EffectStarted { .. }
        | Fact::EffectUnknown { .. }
        | Fact::BackingOff { .. }
        | Fact::StartRequested { .. }
        | Fact::RestartRequested { .. }
        | Fact::StopRequested { .. }
        | Fact::VersionKept { .. }
        | Fact::CallsRecorded { .. }
        // The operator has the file it came from.
        | Fact::Imported { .. } => return None,
    })
}

/// What an effect did for a repair.
fn mended<'a>(effect: &'a Effect, outcome: &EffectOutcome) -> Option<(&'a str, &'static str, String)> {
    let component = effect.component().as_str();
    Some(match (effect, outcome) {
        (Effect::Attempt(attempt), EffectOutcome::Attempted { end, .. }) => {
            let who = attempt.who.named(attempt.name.as_deref());
            let details = format!("attempt {} by {who}: {}", attempt.number, end.why());
            (component, end.as_str(), details)
        }
        (Effect::Apply(apply), EffectOutcome::Changed) => (component, "applied", apply.manifest.to_string()),
        (Effect::Revert(revert), EffectOutcome::Changed) => {
            (component, "reverted", revert.manifest.to_string())
        }
        (Effect::Roster(roster), EffectOutcome::Changed) => match &roster.change {
            RosterChange::Restore(copy) => (component, "restored", format!("agent configuration {copy}")),
            RosterChange::Activate(_) | RosterChange::Save => return None,
        },
        (
            Effect::Apply(_) | Effect::Revert(_) | Effect::Roster(_),
            EffectOutcome::NotChanged { error, .. },
        ) => (component, "fail", error.clone()),
        _ => return None,
    })
}

/// What readers of the log take for well, for an event that changes nothing about it.
fn well_or(before: &Stack, component: &ComponentId, word: &'static str) -> &'static str {
    if before.component(component).condition == Condition::Running { "success" } else { word }
}
