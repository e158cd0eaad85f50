//! What an incident needs next: somebody to ask, a patch to be applied, a patch to be taken back. It looks at where the
//! incident and the component stand, not at how they came there, so that a crash at any moment is one more way to come there.
//!
//! Taking back never waits for anything but the component's process: not for a policy, and not for the stack to be running.

use std::borrow::Cow;

use crate::effect::{Apply, Attempt, Authorized, Decided, Effect, Revert};
use crate::fact::{Closing, Fact, QuarantineReason};
use crate::failure::{Failure, FailureClass, FailureKind};
use crate::id::{ComponentId, Digest, IncidentId, InstanceId, PluginId};
use crate::incident::{Incident, Purpose, Stage, Who};
use crate::ladder::{Look, Next, Passed, climbed};
use crate::plan::{Ladder, RepairPlan, Rung, plugin_of};
use crate::time::Timestamp;

use super::input::Refused;
use super::react::{MAX_ERROR, clip};
use super::roster::Copy;
use super::{Component, Life, State, Turn};

/// Remembered fixes that are tried in one incident: where the first few do not help, the failure is another one.
const REMEMBERED: usize = 3;

impl State {
    /// The ladder as an incident climbs it, with what was known of the agents when it was opened: its order stays while it climbs.
    fn climbed<'a>(&self, incident: &Incident, ladder: &'a Ladder) -> Cow<'a, Ladder> {
        // An earlier host left somebody active in the roster who is not to stay so.
        let before = self.before.as_ref().filter(|_| ladder.rules.roster);
        let start = before.map(|name| name.as_deref().map_or(0, |name| place(ladder, name)));
        climbed(ladder, start.unwrap_or(ladder.rules.start), &incident.scores)
    }

    /// Everything that says who is asked next. The ladder is as the incident climbs it.
    const fn look<'a>(&'a self, incident: &'a Incident, ladder: &'a Ladder, now: Timestamp) -> Look<'a> {
        Look { ladder, incident, durable: &self.durable, now }
    }
}

fn place(ladder: &Ladder, name: &str) -> usize {
    let plugin = plugin_of(name);
    let mut rungs = ladder.rungs.iter();
    rungs.position(|rung| rung.name == name || Some(&rung.agent) == plugin.as_ref()).unwrap_or(0)
}

impl Turn<'_> {
    /// Draws the next consequence for one component's incident.
    pub(super) fn mend(&mut self, at: usize) {
        // Nobody who does not know the directory touches it: the next host that does goes on.
        let Some(Some(_)) = self.state.plans.get(at) else { return };
        if let Some(watched) = self.state.volatile.at_mut(at) {
            watched.waits = None;
        }
        let Some(component) = self.component(at) else { return };
        let Some(incident) = &component.incident else { return };
        let goes_on = self.stage().is_some_and(super::Stage::launches);
        let (stage, purpose, life) = (incident.stage, incident.purpose, component.life);
        match stage {
            Stage::Open if purpose == Purpose::Rollback => self.close(at, Closing::RolledBack),
            Stage::Open if goes_on => self.ask_next(at),
            Stage::Approved(manifest) if goes_on => match life {
                Life::Down => {
                    // Who is in quarantine stays there until there is something better to start.
                    self.let_out(at, Some("its patch passed the trial".to_owned()));
                    self.decide_apply(at, manifest);
                }
                Life::Up { .. } => self.decide_stop(at),
                Life::Launching { .. } | Life::Stopping { .. } => {}
            },
            Stage::Interrupted(manifest) if life == Life::Down && goes_on => self.decide_apply(at, manifest),
            Stage::Failed(manifest) | Stage::Interrupted(manifest) if life == Life::Down => {
                self.decide_revert(at, manifest);
            }
            Stage::Failed(_) | Stage::Interrupted(_) if goes_on && matches!(life, Life::Up { .. }) => {
                self.decide_stop(at);
            }
            _ => {}
        }
    }

    fn ask_next(&mut self, at: usize) {
        let Some(Some(plan)) = self.state.plans.get(at).cloned() else { return };
        let Some(component) = self.component(at) else { return };
        let Some(incident) = &component.incident else { return };
        if let Some(who) = remembered(component, incident).or_else(|| incident.runner_up()) {
            return self.decide_attempt(at, who, None);
        }
        let wanted = plan.repair.as_ref().is_some_and(|repair| repair.last_good);
        let last_good = last_good(incident).filter(|_| wanted);
        let (failure, purpose) = (incident.failure.clone(), incident.purpose);
        let nobody = Ladder::default();
        let ladder = plan.repair.as_ref().map_or(&nobody, |repair| &repair.ladder);
        let ladder = &*self.state.climbed(incident, ladder);
        let (next, passed) = self.state.look(incident, ladder, self.now).next();
        for passed in passed {
            self.pass_over(at, ladder, passed);
        }
        match next {
            Next::Ask(rungs) => self.ask(at, ladder, &rungs),
            Next::Operator => {
                if let Purpose::Patch(diff) = purpose {
                    self.decide_attempt(at, Who::Operator(diff), None);
                }
            }
            Next::Wait(until) => self.wait(at, until),
            Next::Again(round, until) => {
                let Some((incident, component)) = self.incident_of(at) else { return };
                self.record(Fact::RoundBegan { incident, component, round, until });
                self.wait(at, until);
            }
            Next::Nobody => match last_good {
                Some(who) => self.decide_attempt(at, who, None),
                None => {
                    self.close(at, Closing::Exhausted);
                    if purpose == Purpose::Repair {
                        self.give_up(at, QuarantineReason::NotRepaired, failure);
                    }
                }
            },
        }
    }

    /// It is still the process that was well with these files, and nothing of them is on trial.
    pub(super) fn version_kept(&mut self, at: usize, instance: InstanceId, version: Digest) {
        let Some(component) = self.component(at) else { return };
        let is_known = component.versions.last().is_some_and(|(_, known)| *known == version);
        let is_well = component.life.instance() == Some(instance) && component.is_available();
        if is_known || !is_well || component.incident.is_some() {
            return;
        }
        let component = component.id.clone();
        self.record(Fact::VersionKept { component, version });
    }

    /// The incident goes on by itself then.
    fn wait(&mut self, at: usize, until: Timestamp) {
        if let Some(watched) = self.state.volatile.at_mut(at) {
            watched.waits = Some(until);
        }
    }

    fn pass_over(&mut self, at: usize, ladder: &Ladder, passed: Passed) {
        let Some((incident, component)) = self.incident_of(at) else { return };
        let Some(rung) = ladder.rungs.get(passed.rung) else { return };
        let (agent, name) = (rung.agent.clone(), rung.name.clone());
        let Passed { reason, why, until, .. } = passed;
        self.record(Fact::RungSkipped { incident, component, agent, name, reason, why, until });
    }

    /// Asks agents of the ladder, once the roster file allows it.
    fn ask(&mut self, at: usize, ladder: &Ladder, rungs: &[usize]) {
        let Some((_, component)) = self.incident_of(at) else { return };
        let copy = if ladder.rules.roster { self.state.roster_copy() } else { Copy::Refused };
        match copy {
            Copy::Kept | Copy::Refused => {}
            Copy::Awaited => return,
            Copy::Missing => return self.save_roster(component),
        }
        // Nobody is gone on to while several are asked side by side.
        if let [rung] = rungs {
            self.escalate(at, ladder, *rung, copy);
        }
        for asked in rungs.iter().filter_map(|rung| ladder.rungs.get(*rung)) {
            let (who, name) = (Who::Agent(asked.agent.clone()), asked.name.clone());
            let name = (name != asked.agent.as_str()).then_some(name);
            self.decide_attempt(at, who, name);
        }
    }

    /// The incident goes on with a higher agent, if this is one. Who was asked side by side with others is passed now, so that as many
    /// escalations lie behind an agent as if they had been climbed.
    fn escalate(&mut self, at: usize, ladder: &Ladder, rung: usize, copy: Copy) {
        let Some((incident, component)) = self.incident_of(at) else { return };
        let Some(climb) = self.component(at).and_then(|component| component.incident.as_ref()) else {
            return;
        };
        let reached = climb.highest.as_ref().and_then(|agent| ladder.rung(agent));
        let from = reached.map_or_else(|| self.state.look(climb, ladder, self.now).first(), |(at, _)| at);
        let rungs = (ladder.rungs.get(from).filter(|_| rung > from), ladder.rungs.get(rung));
        let (Some(before), Some(asked)) = rungs else { return };
        let between = ladder.rungs.iter().take(rung).skip(from.saturating_add(1));
        let was_asked =
            |rung: &&Rung| climb.tally(&Who::Agent(rung.agent.clone())).is_some_and(|tally| tally.times > 0);
        let passed = u32::try_from(between.filter(was_asked).count()).unwrap_or(u32::MAX);
        let escalations = climb.escalations.saturating_add(passed).saturating_add(1);
        let (warning, warned) = (ladder.rules.warning, climb.warned);
        let (from, to, name) = (before.agent.clone(), asked.agent.clone(), asked.name.clone());
        let (whose, active) = (component.clone(), name.clone());
        self.record(Fact::Escalated { incident, component, from, to, name, escalations });
        if warning > 0 && escalations >= warning && !warned {
            let component = whose.clone();
            self.record(Fact::EscalationWarned { incident, component, escalations });
        }
        if copy == Copy::Kept {
            self.activate(whose, active);
        }
    }

    fn incident_of(&self, at: usize) -> Option<(IncidentId, ComponentId)> {
        let component = self.component(at)?;
        Some((component.incident.as_ref()?.id, component.id.clone()))
    }

    fn decide_attempt(&mut self, at: usize, who: Who, name: Option<String>) {
        let Some(component) = self.component(at) else { return };
        let Some(incident) = &component.incident else { return };
        let number = incident.begun.saturating_add(1);
        let attempt = Attempt { component: component.id.clone(), incident: incident.id, number, who, name };
        let id = self.next_effect();
        self.record(Fact::EffectDecided { id, effect: Effect::Attempt(attempt.clone()) });
        self.decision.effects.push(Decided::Attempt(Authorized::new(id, attempt)));
    }

    /// Decides that a patch is applied: the only place where permission to change files is made, and only for changes that a
    /// trial approved while nothing of the component runs.
    fn decide_apply(&mut self, at: usize, manifest: Digest) {
        let Some(component) = self.component(at) else { return };
        let Some(incident) = &component.incident else { return };
        let apply = Apply { component: component.id.clone(), incident: incident.id, manifest };
        let id = self.next_effect();
        self.record(Fact::EffectDecided { id, effect: Effect::Apply(apply.clone()) });
        self.decision.effects.push(Decided::Apply(Authorized::new(id, apply)));
    }

    fn decide_revert(&mut self, at: usize, manifest: Digest) {
        let Some(component) = self.component(at) else { return };
        let Some(incident) = &component.incident else { return };
        let revert = Revert { component: component.id.clone(), incident: incident.id, manifest };
        let id = self.next_effect();
        self.record(Fact::EffectDecided { id, effect: Effect::Revert(revert.clone()) });
        self.decision.effects.push(Decided::Revert(Authorized::new(id, revert)));
    }

    /// Local launches have not helped: agents are asked from now on, if there are any.
    pub(super) fn open_incident(&mut self, at: usize, failure: &Failure) -> bool {
        let (Some(component), Some(Some(plan))) =
            (self.state.durable.components.get(at), self.state.plans.get(at))
        else {
            return false;
        };
        let agents = plan.repair.as_ref().is_some_and(|repair| !repair.ladder.rungs.is_empty());
        if !agents || component.incident.is_some() {
            return false;
        }
        let (component, launches) = (component.id.clone(), component.failures);
        let (incident, failure) = (self.next_incident(), failure.clone());
        self.record(Fact::IncidentOpened { incident, component, failure, launches, diff: None });
        self.touch(at);
        true
    }

    /// The files could not be changed. Whatever an apply has left is taken back; when that fails, nobody touches them any more.
    pub(super) fn not_changed(&mut self, at: usize, effect: &Effect, error: String) {
        if !matches!(effect, Effect::Revert(_)) {
            return;
        }
        let failure = Failure {
            kind: FailureKind::Canary,
            class: FailureClass::External,
            error: clip(&error, MAX_ERROR).to_owned(),
        };
        self.close(at, Closing::Stuck { error: failure.error.clone() });
        self.give_up(at, QuarantineReason::NotReverted, failure);
    }

    /// A patch has held for as long as it had to, or has not.
    pub(super) fn canary(&mut self, at: usize) {
        if self.state.canary_until(at).is_none_or(|until| self.now < until) {
            return;
        }
        let Some(component) = self.component(at) else { return };
        let Some(Stage::Canary(manifest)) = component.incident.as_ref().map(|incident| incident.stage) else {
            return;
        };
        if component.is_available() && !component.flapping {
            return self.close(at, Closing::Repaired { manifest });
        }
        let instance = component.life.instance();
        let error = "not well at the end of the canary period";
        self.fail(at, instance, FailureKind::Canary, FailureClass::Logic, error);
    }

    /// The component failed for good, is stopped or taken out: nobody goes on asking. A patch that is applied stays watched.
    pub(super) fn withdraw(&mut self, at: usize, reason: &str) {
        let incident = self.component(at).and_then(|component| component.incident.as_ref());
        if incident.is_some_and(|incident| !incident.stage.holds_patch()) {
            self.close(at, Closing::Withdrawn { reason: reason.to_owned() });
        }
    }

    pub(super) fn withdraw_all(&mut self, reason: &str) {
        (0..self.state.durable.components.len()).for_each(|at| self.withdraw(at, reason));
    }

    fn close(&mut self, at: usize, outcome: Closing) {
        let Some(component) = self.component(at) else { return };
        let Some(incident) = component.incident.as_ref().map(|incident| incident.id) else { return };
        let component = component.id.clone();
        self.record(Fact::IncidentClosed { incident, component, outcome });
        self.touch(at);
    }

    pub(super) fn hand_over(&mut self, at: usize, note: Option<String>) -> Result<(), Refused> {
        let (component, failure) = self.free_of_incident(at)?;
        if self.repair(at).is_none_or(|repair| repair.ladder.rungs.is_empty()) {
            return Err(Refused::NoAgents(component));
        }
        let Some(failure) = failure else { return Err(Refused::NotFailed(component)) };
        self.let_out(at, note);
        self.open_incident(at, &failure);
        Ok(())
    }

    pub(super) fn escalate_on_request(
        &mut self,
        at: usize,
        agent: PluginId,
        note: Option<String>,
    ) -> Result<(), Refused> {
        let Some(component) = self.component(at) else { return Err(Refused::NotRunning) };
        let id = component.id.clone();
        let ladder = self.repair(at).map(|repair| &repair.ladder);
        let Some(ladder) = ladder.filter(|ladder| !ladder.rungs.is_empty()) else {
            return Err(Refused::NoAgents(id));
        };
        if ladder.rung(&agent).is_none() {
            return Err(Refused::NotOnLadder(id, agent));
        }
        match &component.incident {
            Some(incident) => {
                let asks = matches!(incident.stage, Stage::Open | Stage::Asking);
                if !asks || incident.purpose != Purpose::Repair {
                    return Err(Refused::InIncident(id, incident.id));
                }
                let ladder = self.state.climbed(incident, ladder);
                if self.state.look(incident, &ladder, self.now).has_had_its_attempts(&agent) {
                    return Err(Refused::AskedEnough(id, agent));
                }
            }
            None => {
                let (_, failure) = self.free_of_incident(at)?;
                let Some(failure) = failure else { return Err(Refused::NotFailed(id)) };
                self.let_out(at, note.clone());
                self.open_incident(at, &failure);
            }
        }
        let Some((incident, component)) = self.incident_of(at) else { return Err(Refused::NotFailed(id)) };
        let note = note.map(|note| clip(&note, MAX_ERROR).to_owned());
        self.record(Fact::EscalationRequested { incident, component, agent, note });
        self.touch(at);
        Ok(())
    }

    pub(super) fn patch(&mut self, at: usize, diff: Digest) -> Result<(), Refused> {
        let (component, failure) = self.free_of_incident(at)?;
        if self.repair(at).is_none() {
            return Err(Refused::NotRepairable(component));
        }
        let failure = failure.unwrap_or_else(|| Failure {
            kind: FailureKind::Operator,
            class: FailureClass::External,
            error: "an operator has a patch".to_owned(),
        });
        let launches = self.component(at).map_or(0, |component| component.failures);
        let incident = self.next_incident();
        self.record(Fact::IncidentOpened { incident, component, failure, launches, diff: Some(diff) });
        self.touch(at);
        Ok(())
    }

    pub(super) fn roll_back(&mut self, at: usize) -> Result<(), Refused> {
        let next = self.next_incident();
        let Some(component) = self.component(at) else { return Ok(()) };
        let id = component.id.clone();
        let (incident, manifest) = match &component.incident {
            Some(incident) => match incident.stage {
                Stage::Canary(manifest) => (incident.id, manifest),
                _ => return Err(Refused::InIncident(id, incident.id)),
            },
            None => match component.patches.last() {
                Some((_, manifest)) => (next, *manifest),
                None => return Err(Refused::NotPatched(id)),
            },
        };
        self.record(Fact::RollbackRequested { incident, component: id, manifest });
        self.touch(at);
        Ok(())
    }

    fn repair(&self, at: usize) -> Option<&RepairPlan> {
        self.state.plans.get(at)?.as_ref()?.repair.as_ref()
    }

    /// Its name and what is wrong with it, if nobody is asked about it yet.
    fn free_of_incident(&self, at: usize) -> Result<(crate::id::ComponentId, Option<Failure>), Refused> {
        let Some(component) = self.component(at) else { return Err(Refused::NotRunning) };
        let id = component.id.clone();
        if let Some(incident) = &component.incident {
            return Err(Refused::InIncident(id, incident.id));
        }
        let quarantined = component.custody.quarantine().map(|quarantine| quarantine.failure.clone());
        let failing = || component.last_failure.clone().filter(|_| component.life.ready_since().is_none());
        Ok((id, quarantined.or_else(failing)))
    }

    /// Who is in quarantine is let out, on probation: a repair that does not hold puts it back.
    fn let_out(&mut self, at: usize, note: Option<String>) {
        let Some(component) = self.component(at).filter(|component| component.custody.is_out()) else {
            return;
        };
        let (component, note) = (component.id.clone(), note.map(|note| clip(&note, MAX_ERROR).to_owned()));
        self.record(Fact::Released { component, note });
    }

    const fn next_incident(&self) -> IncidentId {
        IncidentId(self.state.durable.last_incident + 1)
    }
}

/// What has repaired such a failure before, and was not tried in this incident: it costs nothing to ask.
fn remembered(component: &Component, incident: &Incident) -> Option<Who> {
    if incident.purpose != Purpose::Repair {
        return None;
    }
    let mut fixes = component.memory.fixes(&incident.failure).map(Who::Memory).take(REMEMBERED);
    fixes.find(|who| incident.tally(who).is_none())
}

/// The last resort, when nobody else is left: the files as they were while the component was well.
fn last_good(incident: &Incident) -> Option<Who> {
    let (_, version) = incident.versions.last().filter(|_| incident.purpose == Purpose::Repair)?;
    let who = Who::Version(*version);
    incident.tally(&who).is_none().then_some(who)
}
