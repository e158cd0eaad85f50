//! Incidents as facts tell them: what was asked, proposed, tried, applied and taken back. A projection for people and
//! programs; nothing is decided from it.

use std::collections::BTreeMap;

use razar_core::effect::{Apply, Effect, EffectOutcome, Revert};
use razar_core::fact::{Closing, Fact, Recorded};
use razar_core::failure::Failure;
use razar_core::id::{ComponentId, Digest, EffectId, IncidentId};
use razar_core::incident::{End, Spent, Who};
use razar_core::time::Timestamp;

/// One incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// Whose failure it is.
    pub component: ComponentId,
    /// When it was opened.
    pub opened: Timestamp,
    /// What it is about; none for one that only takes a patch back.
    pub failure: Option<Failure>,
    /// It is about an operator's diff.
    pub by_operator: bool,
    /// In order.
    pub attempts: Vec<Attempt>,
    /// When it was closed, and how.
    pub closed: Option<(Timestamp, Closing)>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    /// Who proposed.
    pub who: Who,
    /// The agent's name as the roster spells it.
    pub name: Option<String>,
    /// When it began.
    pub began: Timestamp,
    /// When it ended, and how.
    pub ended: Option<(Timestamp, End)>,
    /// The host died before it ended, so nobody heard how.
    pub unheard: bool,
    /// What it took.
    pub spent: Spent,
    /// What was done with its patch, in order.
    pub done: Vec<Done>,
    /// Whether its patch was the one that was taken, once that is known of a patch that passed its trial.
    pub taken: Option<bool>,
}

/// Something done with a patch.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What was done with a patch.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// All its files were changed.
    Applied,
    /// They were changed back.
    Reverted,
    /// They could not be changed.
    NotChanged(String),
}

impl What {
    /// The word in answers and views.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Reverted => "reverted",
            Self::NotChanged(_) => "not-changed",
        }
    }
}

impl Incident {
    fn attempt(&mut self, number: u32) -> Option<&mut Attempt> {
        self.attempts.iter_mut().rfind(|attempt| attempt.number == number)
    }

    /// These changes are applied: of several attempts that passed, theirs was taken. Of two that propose the same, the first one's was.
    fn take(&mut self, manifest: Digest) {
        let open = self.attempts.iter_mut().filter(|made| made.taken.is_none() && made.approved().is_some());
        let mut found = false;
        for attempt in open {
            let taken = !found && attempt.approved() == Some(manifest);
            found |= taken;
            attempt.taken = Some(taken);
        }
    }
}

impl Attempt {
    /// Its patch, if that passed its trial.
    fn approved(&self) -> Option<Digest> {
        self.ended.as_ref().and_then(|(_, end)| end.approved())
    }
}

/// The fold.
#[derive(Debug, Default)]
pub struct Incidents {
    known: BTreeMap<IncidentId, Incident>,
    effects: BTreeMap<EffectId, Effect>,
}

impl Incidents {
    /// All of them, by number.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Incident> {
        self.known.values()
    }

    /// One of them.
    pub fn get(&self, id: IncidentId) -> Option<&Incident> {
        self.known.get(&id)
    }

    /// The attempts that had something to try, newest last, each with its incident and its patch.
    pub fn patches(&self) -> impl DoubleEndedIterator<Item = (&Incident, &Attempt, Digest)> {
        self.iter().flat_map(|incident| {
            incident.attempts.iter().filter_map(move |attempt| {
                let (_, end) = attempt.ended.as_ref()?;
                Some((incident, attempt, end.manifest()?))
            })
        })
    }

    /// Takes one fact in.
    pub fn apply(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        match &recorded.fact {
            Fact::IncidentOpened { incident, component, failure, diff, .. } => {
                self.open(*incident, component, at, Some(failure.clone()), diff.is_some());
            }
            Fact::RollbackRequested { incident, component, .. } if !self.known.contains_key(incident) => {
                self.open(*incident, component, at, None, true);
            }
            Fact::IncidentClosed { incident, outcome, .. } => {
                if let Some(incident) = self.known.get_mut(incident) {
                    incident.closed = Some((at, outcome.clone()));
                }
            }
            Fact::EffectDecided { id, effect } => {
                if let Effect::Attempt(attempt) = effect
                    && let Some(incident) = self.known.get_mut(&attempt.incident)
                {
                    incident.attempts.push(Attempt {
                        number: attempt.number,
                        who: attempt.who.clone(),
                        name: attempt.name.clone(),
                        began: at,
                        ended: None,
                        unheard: false,
                        spent: Spent::default(),
                        done: Vec::new(),
                        taken: None,
                    });
                }
                if let Effect::Apply(apply) = effect
                    && let Some(incident) = self.known.get_mut(&apply.incident)
                {
                    incident.take(apply.manifest);
                }
                if effect.incident().is_some() {
                    self.effects.insert(*id, effect.clone());
                }
            }
            Fact::EffectUnknown { id } => {
                if let Some(Effect::Attempt(lost)) = self.effects.remove(id)
                    && let Some(attempt) =
                        self.known.get_mut(&lost.incident).and_then(|of| of.attempt(lost.number))
                {
                    attempt.unheard = true;
                }
            }
            Fact::EffectFinished { id, outcome } => {
                if let Some(effect) = self.effects.remove(id) {
                    self.finished(at, &effect, outcome);
                }
            }
            _ => {}
        }
    }

    fn open(
        &mut self,
        id: IncidentId,
        component: &ComponentId,
        opened: Timestamp,
        failure: Option<Failure>,
        by_operator: bool,
    ) {
        let (component, attempts) = (component.clone(), Vec::new());
        self.known
            .insert(id, Incident { id, component, opened, failure, by_operator, attempts, closed: None });
    }

    fn finished(&mut self, at: Timestamp, effect: &Effect, outcome: &EffectOutcome) {
        let (manifest, what) = match (effect, outcome) {
            (Effect::Attempt(attempt), EffectOutcome::Attempted { end, spent }) => {
                let incident = self.known.get_mut(&attempt.incident);
                let made = incident.and_then(|incident| incident.attempt(attempt.number));
                if let Some(made) = made {
                    made.ended = Some((at, end.clone()));
                    made.spent = spent.clone();
                }
                return;
            }
            (Effect::Apply(apply), EffectOutcome::Changed) => (apply.manifest, What::Applied),
            (Effect::Revert(revert), EffectOutcome::Changed) => (revert.manifest, What::Reverted),
            (Effect::Apply(Apply { manifest, .. }) | Effect::Revert(Revert { manifest, .. }), other) => {
                let EffectOutcome::NotChanged { error, .. } = other else { return };
                (*manifest, What::NotChanged(error.clone()))
            }
            _ => return,
        };
        // A rollback is another incident than the one that made the patch.
        let component = effect.component();
        let attempts = self.known.values_mut().rev().filter(|incident| incident.component == *component);
        let made = attempts
            .flat_map(|incident| incident.attempts.iter_mut().rev())
            .find(|attempt| attempt.taken == Some(true) && attempt.approved() == Some(manifest));
        if let Some(attempt) = made {
            attempt.done.push(Done { at, what });
        }
    }
}
