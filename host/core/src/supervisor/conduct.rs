//! What becomes of a plugin that misbehaves: the plugin is quarantined, by the same machine as a component, and no
//! component fails because of it. While it is out nobody calls it, because no question that it would answer is asked.
//!
//! ```text
//! crashed, broke a limit, denied without end
//!   once or twice in ten calls about one component ──► chance: that call says nothing
//!   more often, and it answers for most others ──────► the component's doing: an unhealthy answer
//!   more often, and for most it does not ────────────► the plugin's doing: quarantine
//! ```
//!
//! So one service that feeds a probe what it cannot digest does not blind the host to all others. An unhealthy report
//! is no misbehavior, nor is a call that waited too long for the component.

use crate::detect::Detector;
use crate::fact::{Fact, Phase, QuarantineReason};
use crate::failure::{Failure, FailureClass, FailureKind};
use crate::id::{InstanceId, PluginId};
use crate::plan::{ProbePlan, Schedule};
use crate::time::{Millis, Timestamp};

use super::custody::PROBATION;
use super::input::Refused;
use super::react::{MAX_ERROR, clip};
use super::{Life, State, Turn};

/// Three of the last ten calls about one component, and ten good ones until that is forgotten.
const WINDOW: Schedule = Schedule {
    failures: 3,
    window: 10,
    successes: 10,
    interval: Millis(0),
    timeout: Millis(0),
    deadline: Millis(0),
};

/// One quarantined plugin, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginOut {
    /// Which.
    pub plugin: PluginId,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl State {
    /// Every quarantined plugin.
    pub fn plugins_out(&self) -> impl Iterator<Item = PluginOut> + '_ {
        self.durable.plugins.iter().filter_map(|(id, plugin)| {
            let quarantine = plugin.custody.quarantine()?;
            Some(PluginOut { plugin: id.clone(), reason: quarantine.words(), since: quarantine.since })
        })
    }

    fn is_plugin_out(&self, plugin: &PluginId) -> bool {
        self.durable.plugins.get(plugin).is_some_and(|known| known.custody.is_out())
    }

    /// The plugin that would answer a probe, if it is quarantined.
    pub(super) fn plugin_out<'a>(&self, probe: &'a ProbePlan) -> Option<&'a PluginId> {
        probe.check.plugin().filter(|plugin| self.is_plugin_out(plugin))
    }

    /// Why nothing is known of a component's health, when that is so.
    pub(super) fn unknown_health(&self, at: usize) -> Option<String> {
        let component = self.durable.components.get(at)?;
        let wanted = self.wanted_watches(&component.id);
        let plugin = wanted.iter().find_map(|watch| self.plugin_out(watch.probe))?;
        let quarantine = self.durable.plugins.get(plugin)?.custody.quarantine()?;
        Some(format!("health unknown: plugin `{plugin}` is quarantined: {}", quarantine.failure.error))
    }

    /// When a component that is not ready has had its time, and how much that is. Nobody can say that it is ready while
    /// the plugin that would is quarantined: its time begins anew when the plugin is released.
    pub(super) fn startup_deadline(&self, at: usize) -> Option<(Timestamp, Millis)> {
        let plan = self.plans.get(at)?.as_deref()?;
        let Life::Up { ready: None, since, .. } = self.durable.components.get(at)?.life else { return None };
        let watched = self.volatile.at(at)?;
        let awaited = match &plan.probes.readiness {
            Some(readiness) if watched.started => readiness,
            _ => &plan.probes.startup,
        };
        let plugin = awaited.check.plugin().and_then(|plugin| self.durable.plugins.get(plugin));
        if plugin.is_some_and(|plugin| plugin.custody.is_out()) {
            return None;
        }
        let begun = plugin.and_then(|plugin| plugin.released).map_or(since, |released| released.max(since));
        let schedule = &plan.probes.startup.schedule;
        Some((watched.deadline(begun, schedule), schedule.deadline))
    }

    /// Every question that a plugin answers: which component, and which of its phases.
    fn questions(&self, plugin: &PluginId) -> impl Iterator<Item = (usize, Phase)> {
        self.plans.iter().enumerate().flat_map(move |(at, plan)| {
            let probes = plan.iter().flat_map(|plan| plan.probes.all());
            let asked = probes.filter(move |(_, probe)| probe.check.plugin() == Some(plugin));
            asked.map(move |(phase, _)| (at, phase))
        })
    }

    /// Whether it answers as it should where it was asked last, more often than not.
    fn answers_for_most(&self, plugin: &PluginId) -> bool {
        let (mut well, mut ill) = (0_usize, 0_usize);
        for (at, phase) in self.questions(plugin) {
            let Some(conduct) = self.volatile.at(at).and_then(|watched| watched.conduct.get(phase as usize))
            else {
                continue;
            };
            if conduct.is_unhealthy() {
                ill += 1;
            } else if conduct.streak() > 0 {
                well += 1;
            }
        }
        well > ill
    }
}

impl Turn<'_> {
    /// A plugin's call about a component ended as no honest plugin's does.
    pub(super) fn misbehaved(&mut self, at: usize, instance: InstanceId, phase: Phase, what: String) {
        let Some(plugin) = self.asked(at, instance, phase).cloned() else { return };
        let Some(watched) = self.state.volatile.at_mut(at) else { return };
        let what = clip(&what, MAX_ERROR).to_owned();
        watched.complaint.clone_from(&what);
        let Some(conduct) = watched.conduct.get_mut(phase as usize) else { return };
        conduct.observe(&WINDOW, false);
        let (again, attempts) = (conduct.is_unhealthy(), conduct.failed(&WINDOW));
        let its_own = again && !self.state.answers_for_most(&plugin);
        let last_chance = its_own.then_some(QuarantineReason::Misbehaved);
        let known = self.state.durable.plugins.get(&plugin);
        match known.map_or(last_chance, |known| known.custody.after_failure(last_chance)) {
            Some(reason) => {
                let failure =
                    Failure { kind: FailureKind::Misbehaved, class: FailureClass::Logic, error: what };
                self.quarantine_plugin(plugin, reason, failure, attempts);
            }
            None if again => self.probed(at, instance, phase, false, what),
            None => {}
        }
    }

    /// A plugin's call about a component ended with an answer.
    pub(super) fn behaved(&mut self, at: usize, instance: InstanceId, phase: Phase) {
        if self.asked(at, instance, phase).is_none() {
            return;
        }
        let watched = self.state.volatile.at_mut(at);
        if let Some(conduct) = watched.and_then(|watched| watched.conduct.get_mut(phase as usize)) {
            conduct.observe(&WINDOW, true);
        }
        let Some(plugin) = self.asked(at, instance, phase) else { return };
        let Some(known) = self.state.durable.plugins.get(plugin) else { return };
        let trusted = known.released.is_some_and(|released| released + PROBATION <= self.now);
        if known.custody.on_probation() && trusted {
            let plugin = plugin.clone();
            self.record(Fact::PluginReinstated { plugin });
        }
    }

    /// The plugin that was asked about this very process, unless it has been taken out since.
    fn asked(&self, at: usize, instance: InstanceId, phase: Phase) -> Option<&PluginId> {
        let Life::Up { instance: running, .. } = self.component(at)?.life else { return None };
        let plan = self.state.plans.get(at)?.as_deref()?;
        let plugin = plan.probes.of(phase)?.check.plugin()?;
        (running == instance && !self.state.is_plugin_out(plugin)).then_some(plugin)
    }

    fn quarantine_plugin(
        &mut self,
        plugin: PluginId,
        reason: QuarantineReason,
        failure: Failure,
        attempts: u32,
    ) {
        self.record(Fact::PluginQuarantined { plugin: plugin.clone(), reason, failure, attempts });
        self.begin_anew(&plugin);
    }

    /// Nothing seen of a plugin before counts, and what it is asked about is looked at.
    fn begin_anew(&mut self, plugin: &PluginId) {
        let questions: Vec<(usize, Phase)> = self.state.questions(plugin).collect();
        for (at, phase) in questions {
            let watched = self.state.volatile.at_mut(at);
            if let Some(conduct) = watched.and_then(|watched| watched.conduct.get_mut(phase as usize)) {
                *conduct = Detector::default();
            }
            self.touch(at);
        }
    }

    pub(super) fn quarantine_plugin_on_request(
        &mut self,
        plugin: PluginId,
        note: Option<String>,
    ) -> Result<(), Refused> {
        if self.state.is_plugin_out(&plugin) {
            return Err(Refused::PluginQuarantined(plugin));
        }
        if self.state.questions(&plugin).next().is_none() {
            return Err(Refused::UnknownPlugin(plugin));
        }
        let error = note.unwrap_or_else(|| QuarantineReason::Operator.as_str().to_owned());
        let error = clip(&error, MAX_ERROR).to_owned();
        let failure = Failure { kind: FailureKind::Operator, class: FailureClass::External, error };
        self.quarantine_plugin(plugin, QuarantineReason::Operator, failure, 0);
        Ok(())
    }

    pub(super) fn release_plugin(&mut self, plugin: PluginId, note: Option<String>) -> Result<(), Refused> {
        if !self.state.is_plugin_out(&plugin) {
            return Err(Refused::PluginNotQuarantined(plugin));
        }
        let note = note.map(|note| clip(&note, MAX_ERROR).to_owned());
        self.record(Fact::PluginReleased { plugin: plugin.clone(), note });
        self.begin_anew(&plugin);
        Ok(())
    }
}
