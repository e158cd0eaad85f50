//! Who is asked next about a failure. It looks at the plan, at what facts say about the incident and about each agent, and at the
//! moment it is given; it has no clock, and what is one component's never moves another's.
//!
//! ```text
//! for each rung, from the active one on       rStar: last, or first once enough attempts have failed
//!   askable? ── yes ──► ask it
//!      │ no: not here, quarantined, had its attempts, unavailable in this incident, left alone for a time
//!      ▼
//! in a tournament: all that are askable, side by side; rStar, and whoever an operator wants, alone
//! nobody is askable: wait for whoever is left alone for a moment ─► climb again (long task) ─► nobody
//! ```

mod order;
mod record;
mod score;

use crate::fact::Skip;
use crate::id::PluginId;
use crate::incident::{Incident, Purpose, Who};
use crate::plan::{Climbing, Hops, Ladder, Money, Rung};
use crate::supervisor::Durable;
use crate::time::{Millis, Timestamp};

pub(crate) use order::{climbed, order};
pub(crate) use record::{Cooling, Record};
pub(crate) use score::Maker;
pub use score::Score;

/// Before the second round of a long task; doubles with each further one.
const ROUND: Millis = Millis::seconds(5);
/// Most agents that are asked side by side: each needs memory and a connection.
const SIDE_BY_SIDE: usize = 8;
/// Where doubling ends.
const LONGEST_ROUND: Millis = Millis::seconds(300);

/// Everything that is looked at.
pub(crate) struct Look<'a> {
    /// As this incident climbs it: from its first rung on, in its order.
    pub(crate) ladder: &'a Ladder,
    pub(crate) incident: &'a Incident,
    /// What facts say about each agent, and who is in quarantine.
    pub(crate) durable: &'a Durable,
    pub(crate) now: Timestamp,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// These agents are asked, side by side if they are several.
    Ask(Vec<usize>),
    /// The operator's own diff is tried.
    Operator,
    /// Somebody may be asked then.
    Wait(Timestamp),
    /// The ladder is climbed again, not before then.
    Again(u32, Timestamp),
    /// Nobody is left.
    Nobody,
}

/// Somebody who is passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) rung: usize,
    pub(crate) reason: Skip,
    pub(crate) why: String,
    pub(crate) until: Option<Timestamp>,
}

/// How an agent stands in an incident at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can be asked.
    Askable,
    /// It has had its attempts.
    Done,
    /// It was asked and could not be reached, or is not asked for another reason that its attempts tell.
    Unavailable,
    /// It is left alone until then.
    Cooling(Timestamp, Skip, String),
    /// It cannot be asked.
    Out(Skip, String),
}

impl Look<'_> {
    /// Who is next, and who is passed over for it.
    pub(crate) fn next(&self) -> (Next, Vec<Passed>) {
        match self.incident.purpose {
            Purpose::Repair => {}
            Purpose::Patch(diff) => {
                let asked = self.incident.tally(&Who::Operator(diff)).is_some();
                return (if asked { Next::Nobody } else { Next::Operator }, Vec::new());
            }
            Purpose::Rollback => return (Next::Nobody, Vec::new()),
        }
        if let Some(begins) = self.incident.again
            && begins.holds(self.now)
        {
            return (Next::Wait(begins.until), Vec::new());
        }
        if self.is_spent() {
            return (Next::Nobody, Vec::new());
        }
        let (mut askable, mut passed) = (Vec::new(), Vec::new());
        let mut soonest: Option<Timestamp> = None;
        for (at, rung) in self.order() {
            let alone = self.is_alone(rung);
            if alone && !askable.is_empty() {
                continue;
            }
            let (reason, why, until) = match self.standing(at, rung) {
                Standing::Askable if alone => return (Next::Ask(vec![at]), passed),
                Standing::Askable => {
                    askable.push(at);
                    continue;
                }
                Standing::Done | Standing::Unavailable => continue,
                Standing::Cooling(until, reason, why) => {
                    soonest = Some(soonest.map_or(until, |known| known.min(until)));
                    (reason, why, Some(until))
                }
                Standing::Out(reason, why) => (reason, why, None),
            };
            if !self.incident.skipped.contains(&rung.agent) {
                passed.push(Passed { rung: at, reason, why, until });
            }
        }
        if !askable.is_empty() {
            return (Next::Ask(self.side_by_side(askable)), passed);
        }
        let rules = &self.ladder.rules;
        let next = match soonest {
            Some(until) if until.since(self.now) <= rules.wait => Next::Wait(until),
            _ if rules.rounds && !self.ladder.rungs.is_empty() => {
                let round = self.incident.round.saturating_add(1);
                Next::Again(round, self.now + pause(round))
            }
            _ => Next::Nobody,
        };
        (next, passed)
    }

    /// It is asked by itself: rStar is never one of many, and its turn comes as it does in a climb.
    fn is_alone(&self, rung: &Rung) -> bool {
        let wanted = self.incident.wanted.as_ref() == Some(&rung.agent);
        !self.ladder.rules.tournament || wanted || rung.is_rstar()
    }

    /// Of those that can be asked, as many as may be asked at once: first whoever was asked least, in the order of the ladder.
    fn side_by_side(&self, mut askable: Vec<usize>) -> Vec<usize> {
        askable.sort_by_key(|at| self.ladder.rungs.get(*at).map(|rung| self.times(&rung.agent)));
        askable.truncate(self.room().clamp(1, SIDE_BY_SIDE));
        askable.sort_unstable();
        askable
    }

    /// So often an agent was asked in this round.
    fn times(&self, agent: &PluginId) -> u32 {
        self.incident.tally(&Who::Agent(agent.clone())).map_or(0, |tally| tally.times)
    }

    /// So many questions the budget still allows. What one takes nobody knows before: as much as those before it, on average.
    fn room(&self) -> usize {
        let (budget, incident) = (&self.ladder.rules.budget, self.incident);
        let begun = u64::from(incident.begun);
        let share = |most: u64, spent: u64| {
            let each = spent.checked_div(begun).filter(|each| *each > 0)?;
            Some(most.saturating_sub(spent) / each)
        };
        let attempts = budget.attempts.map(|most| u64::from(most).saturating_sub(begun));
        let tokens = budget.tokens.and_then(|most| share(most, spent(incident)));
        let money = budget.money.and_then(|most| share(most.0, cost(self.ladder, incident).0));
        let least = attempts.into_iter().chain(tokens).chain(money).min();
        least.map_or(usize::MAX, |least| usize::try_from(least).unwrap_or(usize::MAX))
    }

    /// The rungs in the order in which they are looked at.
    fn order(&self) -> impl Iterator<Item = (usize, &Rung)> {
        let rules = &self.ladder.rules;
        let start = self.first();
        let climbed = self.ladder.rungs.iter().enumerate().skip(start);
        let stays = rules.hops == Hops::PerHop && rules.rstar == 0;
        let climbed = climbed.take(if stays { 1 } else { usize::MAX });
        let wanted = self.incident.wanted.as_ref();
        let ripe = rules.rstar > 0 && self.incident.failed >= rules.rstar;
        let special = rules.hops == Hops::Ladder;
        // Who is wanted comes first, then rStar if it is ripe, then the others, then rStar.
        let rank = move |rung: &Rung| match (wanted == Some(&rung.agent), special && rung.is_rstar()) {
            (true, _) => 0,
            (false, true) if ripe => 1,
            (false, false) => 2,
            (false, true) => 3,
        };
        let mut order: Vec<(usize, &Rung)> = climbed.collect();
        if let Some(wanted) = wanted
            && let Some((at, rung)) = self.ladder.rung(wanted)
            && !order.iter().any(|(known, _)| *known == at)
        {
            order.push((at, rung));
        }
        order.sort_by_key(|(_, rung)| rank(rung));
        order.into_iter()
    }

    /// Where climbing begins: at the active agent, never above one that this incident has asked already.
    pub(crate) fn first(&self) -> usize {
        let start = self.ladder.rules.start;
        let place = |agent: &PluginId| self.ladder.rung(agent).map(|(at, _)| at);
        if let Some(floor) = self.incident.floor.as_ref().and_then(place) {
            return floor;
        }
        let asked = self.incident.tally.iter().filter_map(|tally| match &tally.who {
            Who::Agent(agent) => place(agent),
            _ => None,
        });
        asked.min().map_or(start, |asked| asked.min(start))
    }

    /// How one of them stands.
    fn standing(&self, at: usize, rung: &Rung) -> Standing {
        let rules = &self.ladder.rules;
        let wanted = self.incident.wanted.as_ref() == Some(&rung.agent);
        if let Some((reason, why)) = &rung.out {
            return Standing::Out(*reason, why.clone());
        }
        if self.durable.plugins.get(&rung.agent).is_some_and(|plugin| plugin.custody.is_out()) {
            let why = format!(
                "the plugin is quarantined; `razar-host quarantine release --plugin {}` lets it out",
                rung.agent
            );
            return Standing::Out(Skip::Quarantined, why);
        }
        if rules.hops == Hops::Ladder && rules.rstar == 0 && rung.is_rstar() && !wanted {
            return Standing::Out(Skip::Disabled, "`RAZAR_RSTAR_THRESHOLD` is 0".to_owned());
        }
        let tally = self.incident.tally(&Who::Agent(rung.agent.clone()));
        if tally.is_some_and(|tally| tally.times >= self.attempts(at, rung)) {
            return Standing::Done;
        }
        if wanted {
            return Standing::Askable;
        }
        if tally.is_some_and(|tally| tally.unavailable) {
            return Standing::Unavailable;
        }
        let record = self.durable.agents.get(&rung.agent);
        let started = self.durable.started;
        match record.map_or(Cooling::Not, |record| record.cooling(rung, started, self.now)) {
            Cooling::Not => Standing::Askable,
            Cooling::Until { until, reason, why } => Standing::Cooling(until, reason, why),
            Cooling::ForGood { why } => Standing::Out(Skip::OutOfService, why),
        }
    }

    /// It is not asked any more in this round.
    pub(crate) fn has_had_its_attempts(&self, agent: &PluginId) -> bool {
        let times = self.times(agent);
        self.ladder.rung(agent).is_some_and(|(at, rung)| times >= self.attempts(at, rung))
    }

    /// So often it is asked in one round.
    fn attempts(&self, at: usize, rung: &Rung) -> u32 {
        let Climbing { hops, rstar, .. } = self.ladder.rules;
        match hops {
            Hops::PerHop if rstar > 0 && at >= self.first() => rstar,
            _ => rung.attempts,
        }
    }

    /// What one incident may take is used up.
    fn is_spent(&self) -> bool {
        let budget = &self.ladder.rules.budget;
        let incident = self.incident;
        budget.attempts.is_some_and(|most| incident.begun >= most)
            || budget.time.is_some_and(|most| self.now.since(incident.since) >= most)
            || budget.tokens.is_some_and(|most| spent(incident) >= most)
            || budget.money.is_some_and(|most| cost(self.ladder, incident) >= most)
    }
}

/// Tokens that an incident has taken so far.
fn spent(incident: &Incident) -> u64 {
    incident.tally.iter().map(crate::incident::Tally::tokens).fold(0, u64::saturating_add)
}

/// What an incident has cost so far.
pub(crate) fn cost(ladder: &Ladder, incident: &Incident) -> Money {
    let each = incident.tally.iter().filter_map(|tally| {
        let Who::Agent(agent) = &tally.who else { return None };
        let (_, rung) = ladder.rung(agent)?;
        Some(rung.price.of(tally.input_tokens, tally.output_tokens))
    });
    each.fold(Money(0), Money::plus)
}

/// Before a round begins.
fn pause(round: u32) -> Millis {
    let doublings = round.saturating_sub(2).min(16);
    Millis(ROUND.0.saturating_mul(1 << doublings).min(LONGEST_ROUND.0))
}
