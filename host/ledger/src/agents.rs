//! How each agent has done, as facts tell it: per class of failure, what it proposed, what held, what was taken back, what it took. A
//! projection for people and programs; nothing is decided from it.

use std::collections::{BTreeMap, HashMap};

use razar_core::effect::{Effect, EffectOutcome};
use razar_core::fact::{Closing, Fact, Recorded};
use razar_core::failure::FailureClass;
use razar_core::id::{Digest, EffectId, IncidentId, PluginId};
use razar_core::incident::{End, Spent, Who};
use razar_core::patch::Verdict;
use razar_core::time::{Millis, Timestamp};

/// What one agent has done about failures of one class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deeds {
    /// So often it was asked.
    pub asked: u64,
    /// It could not be asked.
    pub unavailable: u64,
    /// It had no answer, or said that it has no remedy.
    pub failed: u64,
    /// The gate or the trial refused what it proposed.
    pub refused: u64,
    /// Its patch was applied and held.
    pub held: u64,
    /// Its patch was taken back.
    pub reverted: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Time in its calls.
    pub took: Millis,
}

/// What is known of one agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agent {
    /// By class of failure, in its word.
    pub deeds: BTreeMap<&'static str, Deeds>,
    /// Its newest attempt: when it ended, and how.
    pub last: Option<(Timestamp, End)>,
}

/// The fold.
#[derive(Debug, Default)]
pub struct Agents {
    known: BTreeMap<PluginId, Agent>,
    classes: HashMap<IncidentId, FailureClass>,
    effects: HashMap<EffectId, Effect>,
    /// Whose each patch is, what it is about, and in which attempt it was proposed.
    patches: HashMap<Digest, (PluginId, FailureClass, (IncidentId, u32))>,
}

impl Agents {
    /// All that were ever asked.
    pub fn iter(&self) -> impl Iterator<Item = (&PluginId, &Agent)> {
        self.known.iter()
    }

    /// One of them.
    pub fn get(&self, agent: &PluginId) -> Option<&Agent> {
        self.known.get(agent)
    }

    /// Takes one fact in.
    pub fn apply(&mut self, recorded: &Recorded) {
        match &recorded.fact {
            Fact::IncidentOpened { incident, failure, .. } => {
                self.classes.insert(*incident, failure.class);
            }
            Fact::EffectDecided { id, effect: effect @ (Effect::Attempt(_) | Effect::Revert(_)) } => {
                self.effects.insert(*id, effect.clone());
            }
            Fact::EffectUnknown { id } => drop(self.effects.remove(id)),
            Fact::EffectFinished { id, outcome } => {
                if let Some(effect) = self.effects.remove(id) {
                    self.finished(recorded.at, &effect, outcome);
                }
            }
            Fact::IncidentClosed { outcome: Closing::Repaired { manifest }, .. } => {
                self.of_patch(manifest, |deeds| deeds.held += 1);
            }
            _ => {}
        }
    }

    fn finished(&mut self, at: Timestamp, effect: &Effect, outcome: &EffectOutcome) {
        match (effect, outcome) {
            (Effect::Attempt(attempt), EffectOutcome::Attempted { end, spent }) => {
                let Who::Agent(agent) = &attempt.who else { return };
                let class = self.classes.get(&attempt.incident).copied().unwrap_or(FailureClass::External);
                if let Some(manifest) = end.manifest() {
                    let place = (attempt.incident, attempt.number);
                    // Of two that propose the same side by side, it is the first one's, whoever is heard first.
                    let earlier = |(.., (incident, number)): &(_, _, (IncidentId, u32))| {
                        *incident == attempt.incident && *number < attempt.number
                    };
                    if !self.patches.get(&manifest).is_some_and(earlier) {
                        self.patches.insert(manifest, (agent.clone(), class, place));
                    }
                }
                let known = self.known.entry(agent.clone()).or_default();
                known.last = Some((at, end.clone()));
                known.deeds.entry(class.as_str()).or_default().take(end, spent);
            }
            (Effect::Revert(revert), EffectOutcome::Changed) => {
                self.of_patch(&revert.manifest, |deeds| deeds.reverted += 1);
            }
            _ => {}
        }
    }

    fn of_patch(&mut self, manifest: &Digest, change: impl FnOnce(&mut Deeds)) {
        let Some((agent, class, _)) = self.patches.get(manifest) else { return };
        let known = self.known.entry(agent.clone()).or_default();
        change(known.deeds.entry(class.as_str()).or_default());
    }
}

impl Deeds {
    fn take(&mut self, end: &End, spent: &Spent) {
        self.asked += 1;
        match end {
            End::Unavailable { .. } => self.unavailable += 1,
            End::Failed { .. } | End::Declined { .. } => self.failed += 1,
            End::Refused { .. } => self.refused += 1,
            End::Tried { verdict, .. } if *verdict != Verdict::Fixed => self.refused += 1,
            End::Tried { .. } => {}
        }
        self.input_tokens = self.input_tokens.saturating_add(spent.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(spent.output_tokens);
        self.took = Millis(self.took.0.saturating_add(spent.took.0));
    }
}

#[cfg(test)]
mod tests {
    use razar_core::effect::{Attempt, Revert};
    use razar_core::failure::{Failure, FailureKind};

    use super::*;

    #[test]
    fn what_an_agent_did_is_counted_by_class() {
        let mut agents = Agents::default();
        let mut seq = 0;
        let mut take = |fact: Fact| {
            seq += 1;
            agents.apply(&Recorded { seq, at: Timestamp(seq), fact });
        };
        let (incident, manifest) = (IncidentId(1), Digest::of(b"patch"));
        let component: razar_core::id::ComponentId = "web".parse().unwrap();
        let failure =
            Failure { kind: FailureKind::Exited, class: FailureClass::Logic, error: "KeyError".to_owned() };
        take(Fact::IncidentOpened {
            incident,
            component: component.clone(),
            failure,
            launches: 1,
            diff: None,
        });
        let ends = [
            End::Declined { why: "no idea".to_owned() },
            End::Tried {
                verdict: Verdict::NotFixed,
                why: String::new(),
                manifest: Digest::of(b"other"),
                lines: None,
            },
            End::Tried { verdict: Verdict::Fixed, why: String::new(), manifest, lines: None },
            End::Tried { verdict: Verdict::Fixed, why: String::new(), manifest, lines: None },
        ];
        for (number, end) in (1..).zip(ends) {
            let id = EffectId(number.into());
            let who = Who::Agent("agent-k2".parse().unwrap());
            let attempt = Attempt { component: component.clone(), incident, number, who, name: None };
            take(Fact::EffectDecided { id, effect: Effect::Attempt(attempt) });
            let spent = Spent { input_tokens: 10, output_tokens: 1, took: Millis(5), ..Spent::default() };
            take(Fact::EffectFinished { id, outcome: EffectOutcome::Attempted { end, spent } });
        }
        let id = EffectId(9);
        let revert = Revert { component: component.clone(), incident, manifest };
        take(Fact::EffectDecided { id, effect: Effect::Revert(revert) });
        take(Fact::EffectFinished { id, outcome: EffectOutcome::Changed });
        take(Fact::IncidentClosed { incident, component, outcome: Closing::Repaired { manifest } });

        let agent = agents.get(&"agent-k2".parse().unwrap()).unwrap();
        let wanted = Deeds {
            asked: 4,
            unavailable: 0,
            failed: 1,
            refused: 1,
            held: 1,
            reverted: 1,
            input_tokens: 40,
            output_tokens: 4,
            took: Millis(20),
        };
        assert_eq!(agent.deeds, BTreeMap::from([("logic", wanted)]));
        assert!(matches!(&agent.last, Some((Timestamp(9), End::Tried { .. }))), "{:?}", agent.last);
    }
}
