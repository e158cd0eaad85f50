//! What a fact means to an operator: a sentence for whoever is watching, and a line of the timeline in the words the
//! mission log has always used. Facts that only matter to the ledger say nothing.

use std::collections::{BTreeSet, HashMap};

use razar_core::count::counted;
use razar_core::effect::{Effect, EffectOutcome, RosterChange};
use razar_core::fact::{Closing, Fact, Phase, Recorded};
use razar_core::id::{ComponentId, EffectId};
use razar_core::incident::End;
use razar_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{escape, imported, moment};

/// Who an event is about when it is about all.
pub(crate) const SYSTEM: &str = "system";

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// Position of the fact in the ledger.
    pub(crate) seq: u64,
    /// When, in milliseconds since the epoch.
    pub(crate) at: u64,
    /// A word of the mission log's vocabulary.
    pub(crate) event: String,
    /// Whose, or `system`.
    pub(crate) component: String,
    /// How it went.
    pub(crate) status: String,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<String>,
}

impl Event {
    /// `<timestamp> <event> <component>: <status>[ - <details>]`.
    pub(crate) fn line(&self) -> String {
        let details =
            self.details.as_deref().map(|text| format!(" - {}", escape::line(text))).unwrap_or_default();
        format!(
            "{} {} {}: {}{details}",
            moment::full(Timestamp(self.at)),
            escape::line(&self.event),
            escape::line(&self.component),
            escape::line(&self.status)
        )
    }
}

/// Says what facts mean; must see them in order, because a component that becomes ready after a failure has recovered.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    failing: BTreeSet<ComponentId>,
    /// Whose an effect is: facts about its later life carry its number alone.
    effects: HashMap<EffectId, Effect>,
}

impl Teller {
    /// The timeline's line about a fact, if it is worth one.
    pub(crate) fn event(&mut self, recorded: &Recorded) -> Option<Event> {
        if let Fact::EffectDecided { id, effect } = &recorded.fact {
            self.effects.insert(*id, effect.clone());
        }
        if let Some(event) = imported::event(recorded) {
            return Some(event);
        }
        let (event, component, status, details) = self.told(&recorded.fact)?;
        Some(Event {
            seq: recorded.seq,
            at: recorded.at.0,
            event: event.to_owned(),
            component,
            status: status.to_owned(),
            details,
        })
    }

    fn told(&mut self, fact: &Fact) -> Option<(&'static str, String, &'static str, Option<String>)> {
        let system = || SYSTEM.to_owned();
        Some(match fact {
            Fact::BootStarted { boot, mission, long_task, .. } => {
                self.failing.clear();
                let mission =
                    mission.as_deref().map(|mission| format!(", mission {mission}")).unwrap_or_default();
                let long = if *long_task { ", long task" } else { "" };
                ("start", system(), "started", Some(format!("boot {boot}{mission}{long}")))
            }
            Fact::BootResumed { boot, host, long_task, .. } => {
                let long = if *long_task { ", long task" } else { "" };
                ("recovery", system(), "resumed", Some(format!("boot {boot} by razar-host {host}{long}")))
            }
            Fact::BootCompleted { took, absent, .. } if absent.is_empty() => {
                ("start", system(), "success", Some(format!("in {} ms", took.0)))
            }
            Fact::BootCompleted { took, absent, .. } => {
                let details = format!("in {} ms without {}", took.0, names(absent));
                ("start", system(), "partial", Some(details))
            }
            Fact::BootHalted { component, reason, .. } => {
                ("error", system(), "halted", Some(format!("{component}: {reason}")))
            }
            Fact::ShutdownStarted { reason } => ("shutdown", system(), "started", Some(reason.clone())),
            Fact::BootEnded { .. } => ("shutdown", system(), "success", None),
            Fact::Adopted { component, process, .. } => {
                ("recovery", component.to_string(), "adopted", Some(format!("pid {}", process.pid)))
            }
            Fact::Exited { component, exit, asked: true, .. } => {
                ("shutdown", component.to_string(), "stopped", Some(exit.to_string()))
            }
            Fact::EffectFinished { id, outcome } => {
                let effect = self.effects.remove(id)?;
                let component = effect.component().to_string();
                match outcome {
                    EffectOutcome::Running(_) | EffectOutcome::NotStarted { .. } => return None,
                    EffectOutcome::Ended { exit } => {
                        ("shutdown", component, "stopped", Some(exit.to_string()))
                    }
                    EffectOutcome::Saved { .. } => return None,
                    EffectOutcome::Attempted { end, .. } => {
                        let details = attempt(&effect, end);
                        ("patch", component, end.as_str(), Some(details))
                    }
                    EffectOutcome::Changed if matches!(effect, Effect::Roster(_)) => return None,
                    EffectOutcome::Changed => ("patch", component, changed(&effect), manifest(&effect)),
                    EffectOutcome::NotChanged { error, .. } => ("patch", component, "fail", Some(error.clone())),
                }
            }
            Fact::IncidentOpened { incident, component, failure, .. } => {
                let details = format!("incident {incident}: {}", failure.error);
                ("patch", component.to_string(), "requested", Some(details))
            }
            Fact::RollbackRequested { component, manifest, .. } => {
                ("patch", component.to_string(), "rollback", Some(manifest.to_string()))
            }
            Fact::Escalated { component, from, name, escalations, .. } => {
                let details = format!("from {from} to {name}, escalation {escalations}");
                ("patch", component.to_string(), "escalated", Some(details))
            }
            Fact::EscalationWarned { component, escalations, .. } => {
                let details = format!("triggered {escalations} escalations during the current boot cycle");
                ("error", component.to_string(), "warning", Some(details))
            }
            Fact::RungSkipped { component, name, reason, why, .. } => {
                let details = format!("{name}: {}: {why}", reason.as_str());
                ("patch", component.to_string(), "skipped", Some(details))
            }
            Fact::RoundBegan { component, round, .. } => {
                let details = format!("round {round} through the ladder");
                ("patch", component.to_string(), "round", Some(details))
            }
            Fact::EscalationRequested { component, agent, note, .. } => {
                let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
                ("patch", component.to_string(), "requested", Some(format!("{agent}{note}")))
            }
            Fact::IncidentClosed { incident, component, outcome } => {
                let details = Some(format!("incident {incident}"));
                match outcome {
                    Closing::Repaired { .. } => ("resolved", component.to_string(), "success", details),
                    other => ("patch", component.to_string(), other.as_str(), details),
                }
            }
            Fact::Ready { component, took, .. } => {
                let event = if self.failing.remove(component) { "recovery" } else { "start" };
                (event, component.to_string(), "success", Some(format!("ready after {} ms", took.0)))
            }
            Fact::HealthChanged { component, phase, healthy, summary } => {
                let status = if *healthy { "success" } else { "fail" };
                let details = format!("{}: {summary}", phase.as_str());
                ("health", component.to_string(), status, Some(details))
            }
            Fact::FlappingStarted { component, changes } => {
                ("health", component.to_string(), "flapping", Some(counted(*changes as usize, "change")))
            }
            Fact::FlappingEnded { component } => ("health", component.to_string(), "steady", None),
            Fact::Failed { component, attempt, failure, .. } => {
                self.failing.insert(component.clone());
                let details = format!("attempt {attempt}: {}", failure.error);
                ("error", component.to_string(), "fail", Some(details))
            }
            Fact::Quarantined { component, reason, failure, .. } => {
                let details = format!("{}: {}", reason.as_str(), failure.error);
                ("quarantine", component.to_string(), "quarantined", Some(details))
            }
            Fact::Released { component, note } => {
                ("resolved", component.to_string(), "released", note.clone())
            }
            Fact::Reinstated { component } => ("resolved", component.to_string(), "success", None),
            Fact::PluginQuarantined { plugin, reason, failure, .. } => {
                let details = format!("plugin, {}: {}", reason.as_str(), failure.error);
                ("quarantine", plugin.to_string(), "quarantined", Some(details))
            }
            Fact::PluginReleased { plugin, note } => {
                let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
                ("resolved", plugin.to_string(), "released", Some(format!("plugin{note}")))
            }
            Fact::PluginReinstated { plugin } => {
                ("resolved", plugin.to_string(), "success", Some("plugin".to_owned()))
            }
            Fact::Exited { .. }
            | Fact::EffectDecided { .. }
            | Fact::EffectStarted { .. }
            | Fact::EffectUnknown { .. }
            | Fact::BackingOff { .. }
            | Fact::Stopped { .. }
            | Fact::StartRequested { .. }
            | Fact::RestartRequested { .. }
            | Fact::StopRequested { .. }
            | Fact::VersionKept { .. }
            | Fact::CallsRecorded { .. }
            // Told in its own words.
            | Fact::Imported { .. } => return None,
        })
    }

    /// Who is concerned and what happened, for whoever is watching; already harmless.
    pub(crate) fn sentence(&mut self, recorded: &Recorded) -> Option<(String, String)> {
        let (who, what) = self.said(recorded)?;
        Some((who.map_or_else(|| SYSTEM.to_owned(), |id| id.to_string()), escape::line(&what)))
    }

    fn said(&mut self, recorded: &Recorded) -> Option<(Option<ComponentId>, String)> {
        let about = |component: &ComponentId, what: String| Some((Some(component.clone()), what));
        let all = |what: String| Some((None, what));
        match &recorded.fact {
            Fact::BootStarted { boot, mission, components, long_task, .. } => {
                let mission =
                    mission.as_deref().map(|mission| format!(" for mission `{mission}`")).unwrap_or_default();
                let (of, long) = (counted(components.len(), "component"), as_long_task(*long_task));
                all(format!("boot {boot} of {of} began{mission}{long}"))
            }
            Fact::BootResumed { boot, long_task, .. } => {
                all(format!("boot {boot} goes on with this host{}", as_long_task(*long_task)))
            }
            Fact::BootCompleted { took, absent, .. } if absent.is_empty() => {
                all(format!("everything is ready after {}", moment::span(*took)))
            }
            Fact::BootCompleted { took, absent, .. } => {
                all(format!("booted after {} without {}", moment::span(*took), names(absent)))
            }
            Fact::BootHalted { component, reason, .. } => {
                all(format!("boot halted, because vital `{component}` failed: {reason}"))
            }
            Fact::ShutdownStarted { reason } => all(format!("stopping everything: {reason}")),
            Fact::BootEnded { .. } => all("everything has stopped".to_owned()),
            Fact::EffectDecided { id, effect } => self.decided(*id, effect),
            Fact::EffectFinished { id, outcome } => {
                let effect = self.effects.remove(id)?;
                let what = match outcome {
                    EffectOutcome::Running(process) => format!("started as pid {}", process.pid),
                    EffectOutcome::Ended { exit } => format!("stopped; it {exit}"),
                    EffectOutcome::NotStarted { .. } => return None,
                    EffectOutcome::Attempted { end, .. } => {
                        format!("{}, {}", end.as_str(), attempt(&effect, end))
                    }
                    EffectOutcome::Saved { copy, .. } => format!("a copy of the roster is kept: {copy}"),
                    EffectOutcome::Changed if matches!(effect, Effect::Roster(_)) => {
                        "the roster says so now".to_owned()
                    }
                    EffectOutcome::NotChanged { error, .. } if matches!(effect, Effect::Roster(_)) => {
                        format!("the roster is not changed: {error}")
                    }
                    EffectOutcome::Changed => format!("its files are changed: patch {}", changed(&effect)),
                    EffectOutcome::NotChanged { error, .. } => format!("its files are not changed: {error}"),
                };
                about(effect.component(), what)
            }
            Fact::EffectUnknown { id } => {
                let effect = self.effects.remove(id)?;
                about(
                    effect.component(),
                    "the last host ended while acting on it; looking at what is there".to_owned(),
                )
            }
            Fact::Adopted { component, process, .. } => {
                about(component, format!("taken over, running as pid {}", process.pid))
            }
            Fact::Ready { component, took, .. } => {
                about(component, format!("ready after {}", moment::span(*took)))
            }
            Fact::HealthChanged { component, phase, healthy, summary } => {
                let how = if *healthy { "healthy again" } else { "unhealthy" };
                let phase = if *phase == Phase::Liveness { "" } else { phase.as_str() };
                let space = if phase.is_empty() { "" } else { " " };
                about(component, format!("{how} ({phase}{space}probe: {summary})"))
            }
            Fact::FlappingStarted { component, changes } => about(
                component,
                format!(
                    "flapping: its health changed {}; waiting until it is steady",
                    counted(*changes as usize, "time")
                ),
            ),
            Fact::FlappingEnded { component } => about(component, "steady again".to_owned()),
            Fact::Failed { component, attempt, failure, .. } => about(
                component,
                format!("attempt {attempt} failed ({}): {}", failure.class.as_str(), failure.error),
            ),
            Fact::IncidentOpened { incident, component, diff: None, .. } => {
                about(component, format!("incident {incident}: from now on agents are asked"))
            }
            Fact::IncidentOpened { incident, component, .. } => {
                about(component, format!("incident {incident}: an operator's patch is tried"))
            }
            Fact::RollbackRequested { component, .. } => {
                about(component, "its newest patch is taken back".to_owned())
            }
            Fact::Escalated { component, from, name, .. } => {
                about(component, format!("goes on from {from} to {name}"))
            }
            Fact::EscalationWarned { component, escalations, .. } => {
                let times = counted(*escalations as usize, "escalation");
                about(component, format!("warning: {times} in this incident"))
            }
            Fact::RungSkipped { component, name, why, .. } => {
                about(component, format!("{name} is passed over: {why}"))
            }
            Fact::RoundBegan { component, round, until, .. } => {
                let wait = moment::span(until.since(recorded.at));
                about(component, format!("nobody could help; round {round} through the ladder in {wait}"))
            }
            Fact::EscalationRequested { component, agent, note, .. } => {
                let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
                about(component, format!("an operator wants {agent} to be asked next{note}"))
            }
            Fact::IncidentClosed { incident, component, outcome } => {
                let what = match outcome {
                    Closing::Repaired { .. } => "repaired: the patch has held".to_owned(),
                    Closing::Exhausted => "nobody is left to ask".to_owned(),
                    Closing::RolledBack => "the patch is taken back".to_owned(),
                    Closing::Stuck { error } => format!("the patch cannot be taken back: {error}"),
                    Closing::Withdrawn { reason } => format!("nobody is asked any more: {reason}"),
                };
                about(component, format!("incident {incident} is closed: {what}"))
            }
            Fact::BackingOff { component, until, attempt } => {
                let wait = moment::span(until.since(recorded.at));
                about(component, format!("attempt {attempt} follows in {wait}"))
            }
            Fact::Quarantined { component, reason, failure, .. } => about(
                component,
                format!("quarantined, {}: {}; {}", reason.as_str(), failure.error, failure.class.hint()),
            ),
            Fact::Released { component, note } => {
                let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
                about(component, format!("released from quarantine, on probation{note}"))
            }
            Fact::Reinstated { component } => about(component, "passed its probation".to_owned()),
            Fact::PluginQuarantined { plugin, reason, failure, .. } => all(format!(
                "plugin `{plugin}` quarantined, {}: {}; what it would say is unknown until `razar-host quarantine \
                 release --plugin {plugin}`",
                reason.as_str(),
                failure.error
            )),
            Fact::PluginReleased { plugin, note } => {
                let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
                all(format!("plugin `{plugin}` released from quarantine, on probation{note}"))
            }
            Fact::PluginReinstated { plugin } => all(format!("plugin `{plugin}` passed its probation")),
            Fact::StartRequested { component } => about(component, "start requested".to_owned()),
            Fact::RestartRequested { component } => about(component, "restart requested".to_owned()),
            Fact::StopRequested { component } => about(component, "stop requested".to_owned()),
            Fact::VersionKept { component, .. } => {
                about(component, "its files are kept: it has been well with them".to_owned())
            }
            Fact::Imported { source, record, component, .. } => {
                Some((component.clone(), format!("record {record} of `{source}` was taken over")))
            }
            // Said by the failure, or by the end of the effect; and recordings are for whoever asks for them later.
            Fact::EffectStarted { .. }
            | Fact::Exited { .. }
            | Fact::Stopped { .. }
            | Fact::CallsRecorded { .. } => None,
        }
    }

    fn decided(&mut self, id: EffectId, effect: &Effect) -> Option<(Option<ComponentId>, String)> {
        self.effects.insert(id, effect.clone());
        let what = match effect {
            Effect::Start(start) if start.attempt > 1 => format!("launching, attempt {}", start.attempt),
            Effect::Start(_) => "launching".to_owned(),
            Effect::Stop(_) => "stopping".to_owned(),
            Effect::Attempt(attempt) => {
                let who = attempt.who.named(attempt.name.as_deref());
                format!("repair attempt {}: asking {who}", attempt.number)
            }
            Effect::Apply(_) => "applying a patch that passed its trial".to_owned(),
            Effect::Revert(_) => "taking its patch back".to_owned(),
            Effect::Roster(roster) => match &roster.change {
                RosterChange::Save => "keeping a copy of the roster".to_owned(),
                RosterChange::Activate(name) => format!("naming {name} as active in the roster"),
                RosterChange::Restore(_) => "putting the roster back to what it was".to_owned(),
            },
        };
        Some((Some(effect.component().clone()), what))
    }
}

const fn as_long_task(is_one: bool) -> &'static str {
    if is_one { " as a long task" } else { "" }
}

fn names(ids: &[ComponentId]) -> String {
    let names: Vec<_> = ids.iter().map(ComponentId::as_str).collect();
    names.join(", ")
}
/// Who tried what, and what came of it.
fn attempt(effect: &Effect, end: &End) -> String {
    let Effect::Attempt(attempt) = effect else { return end.why().to_owned() };
    let who = attempt.who.named(attempt.name.as_deref());
    format!("attempt {} by {who}: {}", attempt.number, end.why())
}

const fn changed(effect: &Effect) -> &'static str {
    if matches!(effect, Effect::Revert(_)) { "reverted" } else { "applied" }
}

fn manifest(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Apply(apply) => Some(apply.manifest.to_string()),
        Effect::Revert(revert) => Some(revert.manifest.to_string()),
        Effect::Start(_) | Effect::Stop(_) | Effect::Attempt(_) | Effect::Roster(_) => None,
    }
}
