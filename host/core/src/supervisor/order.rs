//! Who may start and who may stop, in which order. Counts are kept up to date one component at a time, so a turn
//! costs what it changes, not what the stack holds.

use crate::effect::Effect;
use crate::fact::Fact;
use crate::incident;
use crate::time::Timestamp;

use super::custody::PROBATION;
use super::volatile::{Layer, Volatile, Watched};
use super::{Component, Life, Stage, State, Turn};

impl State {
    /// Builds everything volatile anew from what is durable.
    pub(crate) fn rebuild(&mut self) {
        let count = self.durable.components.len();
        let mut fresh = Volatile::new(self.volatile.jitter.clone());
        fresh.components = vec![Watched::default(); count];
        fresh.dependents = vec![Vec::new(); count];
        fresh.dependencies = vec![Vec::new(); count];
        fresh.layers = vec![Layer::default(); self.layers as usize];
        for (at, plan) in self.plans.iter().enumerate() {
            let Some(plan) = plan else { continue };
            fresh.unsettled += 1;
            if let Some(layer) = fresh.layers.get_mut(plan.layer as usize) {
                layer.members.push(at);
                layer.unsettled += 1;
            }
            let dependencies = plan.depends_on.iter().filter_map(|id| self.durable.index.get(id).copied());
            for dependency in dependencies {
                if let Some(dependents) = fresh.dependents.get_mut(dependency) {
                    dependents.push(at);
                }
                if let Some(dependencies) = fresh.dependencies.get_mut(at) {
                    dependencies.push(dependency);
                }
            }
        }
        fresh.dirty = (0..count).collect();
        self.volatile = fresh;
        while let Some(at) = self.volatile.dirty.pop() {
            self.refresh(at, Timestamp(0));
        }
    }

    /// Facts about a component that the plan did not know bring it a place.
    pub(crate) fn grow(&mut self) {
        self.plans.resize(self.durable.components.len(), None);
        let count = self.plans.len();
        self.volatile.components.resize(count, Watched::default());
        self.volatile.dependents.resize(count, Vec::new());
        self.volatile.dependencies.resize(count, Vec::new());
    }

    /// Brings the counts up to date with one component; what follows from it for others becomes dirty.
    pub(crate) fn refresh(&mut self, at: usize, now: Timestamp) {
        let Some(component) = self.durable.components.get(at) else { return };
        let plan = self.plans.get(at).and_then(Option::as_deref);
        let available = component.is_available();
        let has_process = component.life != Life::Down;
        // The boot waits for the repair of what it cannot do without, and for no other.
        let mended = component.is_kept_down() && !plan.is_some_and(|plan| plan.vital);
        let out = component.is_out() || mended;
        let blocked = !has_process && !out && self.waits_for_the_absent(at);
        let settled = available || out || blocked;
        let startup = self.startup_deadline(at).map(|(deadline, _)| deadline);
        let waits = self.volatile.at(at).and_then(|watched| watched.waits);
        let due = self.due(component, startup, self.canary_until(at), waits, now);
        let layer = plan.map(|plan| plan.layer as usize);
        let Some(old) = self.volatile.at(at) else { return };
        let (was_settled, was_blocked, had_process) = (old.settled, old.blocked, old.has_process);
        let absent = blocked || out;
        let changed = old.settled != settled
            || was_blocked != blocked
            || old.available != available
            || old.absent != absent;
        if let Some(watched) = self.volatile.at_mut(at) {
            watched.settled = settled;
            watched.blocked = blocked;
            watched.available = available;
            watched.absent = absent;
            watched.has_process = has_process;
        }
        self.volatile.set_due(at, due);
        let v = &mut self.volatile;
        if let Some(layer) = layer.and_then(|layer| v.layers.get_mut(layer)) {
            shift(&mut layer.unsettled, !was_settled, !settled);
            shift(&mut layer.processes, had_process, has_process);
            shift(&mut v.unsettled, !was_settled, !settled);
        }
        shift(&mut v.processes, had_process, has_process);
        if changed && let Some(dependents) = v.dependents.get(at) {
            v.dirty.extend(dependents);
        }
        if had_process && !has_process {
            if let Some(dependencies) = v.dependencies.get(at) {
                v.dirty.extend(dependencies);
            }
            if layer.and_then(|layer| v.layers.get(layer)).is_some_and(|layer| layer.processes == 0)
                && let Some(top) = v.layers.iter().rev().find(|layer| layer.processes > 0)
            {
                v.dirty.extend(&top.members);
            }
        }
        while v.layers.get(v.open_layers).is_some_and(|layer| layer.unsettled == 0) {
            v.open_layers += 1;
            if let Some(layer) = v.layers.get(v.open_layers) {
                v.dirty.extend(&layer.members);
            }
        }
    }

    fn waits_for_the_absent(&self, at: usize) -> bool {
        let dependencies = self.volatile.dependencies.get(at).into_iter().flatten();
        dependencies.into_iter().any(|dependency| self.volatile.at(*dependency).is_some_and(|v| v.absent))
    }

    /// The one moment at which a component wants to be looked at. A moment that has passed without a consequence is
    /// none: nothing here may ask for the same tick for ever.
    fn due(
        &self,
        component: &Component,
        startup: Option<Timestamp>,
        canary: Option<Timestamp>,
        waits: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if !self.durable.boot.as_ref().is_some_and(|boot| boot.stage.launches()) {
            return None;
        }
        match component.life {
            Life::Up { ready: None, .. } => startup,
            Life::Up { ready: Some(ready), .. } => {
                let probation = component.custody.on_probation().then_some(ready + PROBATION);
                probation.into_iter().chain(canary).min()
            }
            Life::Down => {
                let backing_off = component.backing_off.filter(|wait| wait.holds(now)).map(|wait| wait.until);
                backing_off.or_else(|| waits.filter(|until| now < *until))
            }
            _ => None,
        }
    }

    /// When a patch has held.
    pub(crate) fn canary_until(&self, at: usize) -> Option<Timestamp> {
        let component = self.durable.components.get(at)?;
        let incident::Stage::Canary(_) = component.incident.as_ref()?.stage else { return None };
        Some(component.life.ready_since()? + self.plans.get(at)?.as_ref()?.repair.as_ref()?.canary)
    }

    /// Files are being changed, or are about to be changed back.
    fn changes_files(&self) -> bool {
        let planned = self.plans.iter().zip(&self.durable.components).filter(|(plan, _)| plan.is_some());
        let mut incidents = planned.filter_map(|(_, component)| component.incident.as_ref());
        self.durable.open_effects.values().any(Effect::changes_files)
            || self.owes_roster()
            || incidents.any(|incident| {
                matches!(incident.stage, incident::Stage::Failed(_) | incident::Stage::Interrupted(_))
            })
    }

    fn may_start(&self, at: usize, now: Timestamp) -> bool {
        let Some(component) = self.durable.components.get(at) else { return false };
        let Some(Some(plan)) = self.plans.get(at) else { return false };
        component.life == Life::Down
            && !component.is_kept_down()
            && component.unjudged.is_none()
            && !component.backing_off.is_some_and(|wait| wait.holds(now))
            && plan.layer as usize <= self.volatile.open_layers
            && self.volatile.dependencies.get(at).is_some_and(|dependencies| {
                dependencies
                    .iter()
                    .all(|dependency| self.volatile.at(*dependency).is_some_and(|v| v.available))
            })
    }

    fn may_stop(&self, at: usize) -> bool {
        let Some(component) = self.durable.components.get(at) else { return false };
        if !matches!(component.life, Life::Up { .. }) {
            return false;
        }
        let Some(Some(plan)) = self.plans.get(at) else { return true };
        let mut above = self.volatile.layers.iter().skip(plan.layer as usize + 1);
        above.all(|layer| layer.processes == 0)
            && self.volatile.dependents.get(at).is_some_and(|dependents| {
                dependents
                    .iter()
                    .all(|dependent| self.volatile.at(*dependent).is_some_and(|v| !v.has_process))
            })
    }
}

/// Moves a count by the change of one member.
const fn shift(count: &mut usize, before: bool, after: bool) {
    match (before, after) {
        (false, true) => *count += 1,
        (true, false) => *count = count.saturating_sub(1),
        _ => {}
    }
}

impl Turn<'_> {
    /// This component changed: counts, watches and others may follow.
    pub(super) fn touch(&mut self, at: usize) {
        self.state.volatile.dirty.push(at);
        if let Some(component) = self.state.durable.components.get(at) {
            self.decision.touched.push(component.id.clone());
        }
    }

    pub(super) fn touch_all(&mut self) {
        (0..self.state.durable.components.len()).for_each(|at| self.touch(at));
    }

    /// Draws every consequence of what was touched, until nothing more follows.
    pub(super) fn advance(&mut self) {
        if self.state.volatile.dirty.is_empty() {
            return;
        }
        while let Some(at) = self.state.volatile.dirty.pop() {
            self.state.refresh(at, self.now);
            self.mend(at);
            self.state.refresh(at, self.now);
            match self.stage() {
                Some(stage) if stage.launches() && self.state.may_start(at, self.now) => {
                    self.decide_start(at)
                }
                Some(stage) if stage.stops() && self.state.may_stop(at) => self.decide_stop(at),
                _ => {}
            }
        }
        self.settle_roster();
        self.conclude();
    }

    /// A boot is complete when everything is settled, and over when everything has stopped.
    fn conclude(&mut self) {
        let Some(boot) = &self.state.durable.boot else { return };
        let (id, since) = (boot.id, boot.since);
        match boot.stage {
            Stage::Booting if self.state.volatile.unsettled == 0 => {
                let planned = self.state.plans.iter().zip(&self.state.durable.components);
                let planned = planned.filter(|(plan, _)| plan.is_some()).map(|(_, component)| component);
                let (ready, absent): (Vec<_>, Vec<_>) = planned.partition(|c| c.is_available());
                let ids =
                    |components: Vec<&Component>| components.into_iter().map(|c| c.id.clone()).collect();
                let (ready, absent) = (ids(ready), ids(absent));
                self.record(Fact::BootCompleted { boot: id, took: self.now.since(since), ready, absent });
            }
            stage if stage.stops() && self.state.volatile.processes == 0 && !self.state.changes_files() => {
                self.record(Fact::BootEnded { boot: id });
            }
            _ => {}
        }
    }
}
