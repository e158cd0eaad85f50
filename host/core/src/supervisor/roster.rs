//! The roster file: a copy of it before the first agent of a boot is asked, the active agent's name in it while an incident climbs, and
//! the file as it was when the climb has not helped. The fold over facts, and what follows from it.
//!
//! | the climb | what the file says afterwards |
//! |---|---|
//! | ended in a repair that held | the agent that repaired it stays active |
//! | ended otherwise, or the stack is stopped in the middle | who was active before |
//! | a vital component halted the boot | byte for byte what it was before the boot |
//! | a crash in the middle | as long as the incident is open: as it is; else as above, before anybody else is asked |

use std::collections::BTreeMap;

use crate::effect::{Authorized, Decided, Effect, EffectOutcome, RosterChange, SetRoster};
use crate::fact::Fact;
use crate::id::{BootId, ComponentId, Digest};

use super::{Stage, State, Turn};

/// What facts say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RosterFile {
    /// The newest boot that has made its copy, or could not.
    pub(crate) boot: Option<BootId>,
    /// The copy.
    pub(crate) copy: Option<Digest>,
    /// Who was active in it.
    pub(crate) before: Option<String>,
    /// Who was made active since, whether or not that was ever done.
    pub(crate) written: Option<String>,
    /// Who is to stay active, because a repair of his held.
    pub(crate) kept: Option<String>,
    /// Who was made active for whom, in incidents that are open.
    pub(crate) climbers: BTreeMap<ComponentId, String>,
    /// It could not be changed: nobody tries again in this boot.
    pub(crate) refused: bool,
}

impl RosterFile {
    /// A host begins.
    pub(crate) const fn begin(&mut self) {
        self.refused = false;
    }

    /// It is about to be changed: from here on nobody knows what is in it.
    pub(crate) fn decided(&mut self, roster: &SetRoster) {
        if let RosterChange::Activate(name) = &roster.change {
            self.written = Some(name.clone());
            // Otherwise it stays whatever becomes of the incident.
            if self.kept.as_ref() != Some(name) {
                self.climbers.insert(roster.component.clone(), name.clone());
            }
        }
    }

    pub(crate) fn finished(&mut self, boot: Option<BootId>, roster: &SetRoster, outcome: &EffectOutcome) {
        match (&roster.change, outcome) {
            (RosterChange::Save, EffectOutcome::Saved { copy, active }) => {
                self.boot = boot;
                self.copy = Some(*copy);
                self.before.clone_from(active);
                self.written = None;
                self.kept = None;
            }
            (RosterChange::Save, _) => {
                self.boot = boot;
                self.copy = None;
                self.refused = true;
            }
            (RosterChange::Restore(_), EffectOutcome::Changed) => {
                self.written = None;
                self.kept = None;
            }
            (_, EffectOutcome::NotChanged { .. }) => self.refused = true,
            _ => {}
        }
    }

    /// An incident is over.
    pub(crate) fn closed(&mut self, component: &ComponentId, repaired: bool) {
        if let Some(name) = self.climbers.remove(component)
            && repaired
        {
            self.kept = Some(name);
        }
    }

    /// Somebody was made active who is not to stay so.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.written.is_some() && self.written != self.kept
    }
}

/// Whether an agent may be asked as far as the roster file is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    /// It may, and the file may say so.
    Kept,
    /// It may, and the file stays as it is.
    Refused,
    /// Not before the file is dealt with.
    Awaited,
    /// Not before there is a copy.
    Missing,
}

impl State {
    fn roster_effect_is_open(&self) -> bool {
        self.durable.open_effects.values().any(|effect| matches!(effect, Effect::Roster(_)))
    }

    pub(super) fn roster_copy(&self) -> Copy {
        let boot = self.durable.boot.as_ref().map(|boot| boot.id);
        let file = &self.durable.roster;
        let saves = |effect: &Effect| {
            matches!(
                effect,
                Effect::Roster(SetRoster { change: RosterChange::Save | RosterChange::Restore(_), .. })
            )
        };
        match () {
            () if file.refused => Copy::Refused,
            () if self.durable.open_effects.values().any(saves) => Copy::Awaited,
            () if file.boot == boot && boot.is_some() => Copy::Kept,
            () if file.is_unsettled() => Copy::Awaited,
            () => Copy::Missing,
        }
    }

    /// The name the file should say instead: none for what it was before; nothing if it says the right one.
    fn roster_target(&self) -> Option<Option<String>> {
        let file = &self.durable.roster;
        let stage = self.durable.boot.as_ref().map(|boot| (boot.id, boot.stage));
        let over = stage.is_none_or(|(_, stage)| stage.stops() || stage == Stage::Ended);
        let strange = file.boot != stage.map(|(id, _)| id);
        if !file.climbers.is_empty() && !over && !strange {
            return None;
        }
        let halted = stage.is_some_and(|(_, stage)| stage == Stage::Halting);
        let wanted = if halted { None } else { file.kept.clone() };
        (file.written != wanted).then_some(wanted)
    }

    /// The file is to be put right before this boot is over.
    pub(super) fn owes_roster(&self) -> bool {
        !self.durable.roster.refused && self.durable.roster.copy.is_some() && self.roster_target().is_some()
    }
}

impl Turn<'_> {
    /// Keeps a copy of the file before anybody is asked.
    pub(super) fn save_roster(&mut self, component: ComponentId) {
        self.change_roster(component, RosterChange::Save);
    }

    /// The file says who is asked now.
    pub(super) fn activate(&mut self, component: ComponentId, name: String) {
        self.change_roster(component, RosterChange::Activate(name));
    }

    /// Puts the file right when nobody climbs any more.
    pub(super) fn settle_roster(&mut self) {
        if !self.state.owes_roster() || self.state.roster_effect_is_open() {
            return;
        }
        let Some(target) = self.state.roster_target() else { return };
        let file = &self.state.durable.roster;
        let Some(copy) = file.copy else { return };
        let Some(component) = self.state.durable.components.first().map(|first| first.id.clone()) else {
            return;
        };
        let change = target.map_or(RosterChange::Restore(copy), RosterChange::Activate);
        self.change_roster(component, change);
    }

    fn change_roster(&mut self, component: ComponentId, change: RosterChange) {
        let roster = SetRoster { component, change };
        let id = self.next_effect();
        self.record(Fact::EffectDecided { id, effect: Effect::Roster(roster.clone()) });
        self.decision.effects.push(Decided::Roster(Authorized::new(id, roster)));
    }
}
