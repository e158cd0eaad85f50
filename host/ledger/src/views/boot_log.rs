//! `logs/boot_orchestrator.log`: the lines operators grep for, in their words. Times are UTC, whatever the machine's
//! zone is: lines of two machines can be merged.

use std::fmt::Write as _;

use razar_core::count::counted;
use razar_core::effect::{Attempt, Effect, EffectOutcome, ExitStatus, RosterChange};
use razar_core::fact::{Anchor, Closing, Fact, Opened, QuarantineReason, Recorded};
use razar_core::failure::FailureKind;
use razar_core::id::ComponentId;

use super::{escape, stack::Stack};
use crate::moment;

/// Below the root of the views.
pub(super) const NAME: &str = "logs/boot_orchestrator.log";

/// The lines of one fact.
pub(super) fn lines(before: &Stack, recorded: &Recorded, out: &mut String) {
    let time = moment::log(recorded.at);
    let mut say = |level: &str, message: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{time} {level} {}", escape::line(message));
    };
    match &recorded.fact {
        Fact::BootStarted { boot, components, host, ledger, .. } => {
            say(
                "INFO",
                &format!("Boot {boot} of {} by razar-host {host}", counted(components.len(), "component")),
            );
            opened(&mut say, ledger.as_ref());
            for component in components.iter().filter(|component| before.is_quarantined(component)) {
                say("INFO", &format!("Skipping quarantined component {component}"));
            }
        }
        Fact::BootResumed { boot, host, ledger, .. } => {
            say("INFO", &format!("Boot {boot} taken over by razar-host {host}"));
            opened(&mut say, ledger.as_ref());
        }
        Fact::BootCompleted { absent, .. } => {
            say("INFO", "All components launched");
            if !absent.is_empty() {
                let absent: Vec<_> = absent.iter().map(|component| component.as_str()).collect();
                say("WARNING", &format!("Not running: {}", absent.join(", ")));
            }
        }
        Fact::BootHalted { component, reason, .. } => {
            say("ERROR", &format!("Boot sequence halted: {component}: {reason}"));
        }
        Fact::ShutdownStarted { reason } => say("INFO", &format!("Shutting down: {reason}")),
        Fact::BootEnded { .. } if before.halted.is_some() => {
            say("ERROR", before.rolled_back());
            say("INFO", "All components stopped");
        }
        Fact::BootEnded { boot } => say("INFO", &format!("Boot {boot} ended: all components stopped")),
        Fact::EffectStarted { id } => {
            if let Some(component) = before.launched(*id) {
                say("INFO", &format!("Launching {component}"));
            }
        }
        Fact::EffectUnknown { id } => {
            if let Some(effect) = before.effect(*id) {
                say("WARNING", &format!("A crash left effect {id} on {} open", effect.component()));
            }
        }
        Fact::Adopted { component, process, .. } => {
            say("INFO", &format!("Adopted {component} (pid {})", process.pid));
        }
        Fact::Exited { component, exit, asked: true, .. } => {
            say("INFO", &stopped(before, component, *exit));
        }
        Fact::Exited { component, exit, asked: false, .. } => say("WARNING", &format!("{component} {exit}")),
        Fact::Ready { component, .. } => say("INFO", &format!("{component} started successfully")),
        Fact::HealthChanged { component, healthy: true, phase, .. } => {
            say("INFO", &format!("{component} is healthy again ({})", phase.as_str()));
        }
        Fact::HealthChanged { component, healthy: false, summary, .. } => {
            say("ERROR", &format!("Health check failed for {component}"));
            say("INFO", &format!("{component} said: {summary}"));
        }
        Fact::FlappingStarted { component, changes } => {
            say(
                "WARNING",
                &format!(
                    "{component} is flapping ({}); its changes are not acted on",
                    counted(*changes as usize, "change")
                ),
            );
        }
        Fact::FlappingEnded { component } => say("INFO", &format!("{component} is steady again")),
        Fact::Failed { component, attempt, failure, .. } => {
            let unhealthy = match failure.kind {
                FailureKind::StartupDeadline => true,
                FailureKind::Liveness => !before.component(component).reported,
                FailureKind::NotStarted
                | FailureKind::Unstartable
                | FailureKind::Exited
                | FailureKind::Canary
                | FailureKind::Operator
                | FailureKind::Misbehaved => false,
            };
            if unhealthy {
                say("ERROR", &format!("Health check failed for {component}"));
            }
            say("ERROR", &format!("Attempt {attempt} failed for {component}: {}", failure.error));
        }
        Fact::BackingOff { component, until, attempt } => {
            let wait = until.since(recorded.at);
            say("INFO", &format!("Waiting {} ms before launch {attempt} of {component}", wait.0));
        }
        Fact::Quarantined { component, reason: QuarantineReason::FailureLimit, .. } => {
            say("ERROR", &format!("Component {component} exceeded failure limit; quarantining"));
        }
        Fact::Quarantined { component, reason, .. } => {
            say("ERROR", &format!("Component {component} quarantined: {}", reason.as_str()));
        }
        Fact::Released { component, .. } => {
            say("INFO", &format!("Component {component} released from quarantine on probation"));
        }
        Fact::Reinstated { component } => say("INFO", &format!("Component {component} passed its probation")),
        Fact::PluginQuarantined { plugin, reason, failure, .. } => {
            say("ERROR", &format!("Plugin {plugin} quarantined: {}: {}", reason.as_str(), failure.error));
        }
        Fact::PluginReleased { plugin, .. } => {
            say("INFO", &format!("Plugin {plugin} released from quarantine on probation"));
        }
        Fact::PluginReinstated { plugin } => say("INFO", &format!("Plugin {plugin} passed its probation")),
        // Said when its process ended: nobody has asked for this one.
        Fact::Stopped { .. } if before.ending => {}
        Fact::Stopped { component } => say("INFO", &format!("{component} stays stopped until it is started")),
        Fact::StartRequested { component } => say("INFO", &format!("Start of {component} requested")),
        Fact::RestartRequested { component } => say("INFO", &format!("Restart of {component} requested")),
        Fact::StopRequested { component } => say("INFO", &format!("Stop of {component} requested")),
        Fact::EffectFinished { id, outcome: EffectOutcome::Ended { exit } } => {
            if let Some(effect) = before.effect(*id) {
                say("INFO", &stopped(before, effect.component(), *exit));
            }
        }
        Fact::IncidentOpened { incident, component, failure, .. } => {
            say("WARNING", &format!("Incident {incident} opened for {component}: {}", failure.error));
        }
        Fact::RollbackRequested { component, manifest, .. } => {
            say("INFO", &format!("Rollback of {manifest} requested for {component}"));
        }
        Fact::IncidentClosed { incident, component, outcome } => match outcome {
            Closing::Repaired { .. } => {
                say("INFO", &format!("Incident {incident} closed: {component} is repaired"));
            }
            Closing::RolledBack => {
                say("INFO", &format!("Incident {incident} closed: {component} rolled back"))
            }
            Closing::Exhausted => {
                say("ERROR", &format!("Incident {incident} closed: no repair of {component} held"));
            }
            Closing::Stuck { error } => {
                say(
                    "ERROR",
                    &format!("Incident {incident} closed: {component} cannot be rolled back: {error}"),
                );
            }
            Closing::Withdrawn { reason } => {
                say("INFO", &format!("Incident {incident} of {component} withdrawn: {reason}"));
            }
        },
        Fact::Escalated { component, name, from, escalations, .. } => {
            let which = format!("escalation {escalations}");
            say("WARNING", &format!("Escalating {component} from {from} to {name} ({which})"));
        }
        Fact::EscalationWarned { component, escalations, .. } => {
            let text = format!(
                "Component {component} triggered {escalations} escalations during the current boot cycle"
            );
            say("WARNING", &text);
        }
        Fact::RungSkipped { component, name, reason, why, .. } => {
            say("WARNING", &format!("Skipping {name} for {component} ({}): {why}", reason.as_str()));
        }
        Fact::RoundBegan { component, round, until, .. } => {
            let wait = until.since(recorded.at);
            say(
                "WARNING",
                &format!("Round {round} of {component} through the ladder follows in {} ms", wait.0),
            );
        }
        Fact::EscalationRequested { component, agent, .. } => {
            say("INFO", &format!("Escalation of {component} to {agent} requested"));
        }
        Fact::EffectFinished { id, outcome } => match (before.effect(*id), outcome) {
            (Some(Effect::Roster(roster)), EffectOutcome::Changed) => match &roster.change {
                RosterChange::Save => {}
                RosterChange::Activate(name) => say("INFO", &format!("Active agent is now {name}")),
                RosterChange::Restore(copy) => {
                    say("INFO", &format!("Restored agent configuration from its copy {copy}"));
                }
            },
            (Some(Effect::Roster(_)), EffectOutcome::Saved { copy, .. }) => {
                say("INFO", &format!("Kept a copy of the agent configuration: {copy}"));
            }
            (Some(Effect::Roster(_)), EffectOutcome::NotChanged { error, .. }) => {
                say("ERROR", &format!("The agent configuration is not changed: {error}"));
            }
            (Some(Effect::Attempt(attempt)), EffectOutcome::Attempted { end, .. }) => {
                let Attempt { component, number, who, name, .. } = attempt;
                let who = who.named(name.as_deref());
                let level = if end.approved().is_some() { "INFO" } else { "WARNING" };
                let (word, why) = (end.as_str(), end.why());
                say(level, &format!("Repair attempt {number} of {component} by {who}: {word}: {why}"));
            }
            (Some(Effect::Apply(apply)), EffectOutcome::Changed) => {
                say("INFO", &format!("Applied patch for {}: {}", apply.component, apply.manifest));
            }
            (Some(Effect::Revert(revert)), EffectOutcome::Changed) => {
                say("WARNING", &format!("Reverted patch for {}: {}", revert.component, revert.manifest));
            }
            (Some(effect), EffectOutcome::NotChanged { error, .. }) => {
                say("ERROR", &format!("Files of {} are not changed: {error}", effect.component()));
            }
            _ => {}
        },
        Fact::VersionKept { component, version } => {
            say("INFO", &format!("Kept the files of {component}, which is well with them: {version}"));
        }
        Fact::EffectDecided { .. } | Fact::CallsRecorded { .. } | Fact::Imported { .. } => {}
    }
}

/// The ledger's head in a file of its own: whoever ships this log elsewhere has an anchor there.
fn opened(say: &mut impl FnMut(&str, &str), ledger: Option<&Opened>) {
    let Some(Opened { head, contradicted }) = ledger else { return };
    say("INFO", &format!("Ledger ends with fact {}, {}", head.seq, head.hash));
    if let Some(claimed) = contradicted {
        let Anchor { seq, hash } = claimed;
        say("ERROR", &format!("Ledger does not have fact {seq}, {hash}, which the state file named"));
    }
}

/// How the process ended that was asked to, and why it was when that is not said elsewhere.
fn stopped(before: &Stack, component: &ComponentId, exit: ExitStatus) -> String {
    let why = if before.ending { " because the host shuts down" } else { "" };
    format!("{component} stopped{why}: it {exit}")
}
