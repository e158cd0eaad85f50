//! What an operator is told about the agents of a roster: derived, never stored.

use crate::fact::Skip;
use crate::failure::FailureClass;
use crate::id::PluginId;
use crate::incident::{Score, Trouble};
use crate::ladder::{Cooling, Record, order};
use crate::plan::{Hops, Roster, Rung};
use crate::time::Timestamp;

use super::State;

/// One agent of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentStatus {
    /// Its plugin.
    pub agent: PluginId,
    /// Its name as the roster spells it.
    pub name: String,
    /// Climbing begins here.
    pub active: bool,
    /// Whether it would be asked now.
    pub standing: AgentStanding,
    /// How often it was asked.
    pub asked: u64,
    /// When it last answered.
    pub answered: Option<Timestamp>,
    /// Its newest trouble, if nothing better came after it: what, when, and the how manieth in a row.
    pub trouble: Option<(Trouble, Timestamp, u32)>,
}

/// Whether an agent would be asked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentStanding {
    /// It would.
    Available,
    /// Not before then.
    Cooling(Timestamp, Skip, String),
    /// Not as long as things are as they are.
    Out(Skip, String),
}

impl AgentStanding {
    /// One word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Cooling(..) => "cooling-down",
            Self::Out(..) => "out",
        }
    }
}

/// The order in which the agents of a roster would be asked about failures of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentOrder {
    /// Which class.
    pub class: FailureClass,
    /// The agents, from the first to the last.
    pub agents: Vec<PluginId>,
    /// Who comes before whom although the roster says otherwise, each with what decided it.
    pub ahead: Vec<[(PluginId, Score); 2]>,
}

impl State {
    /// The order in force for each class of failure; none if it is always the roster's.
    pub fn orders(&self, roster: &Roster) -> Vec<AgentOrder> {
        let Some(bounds) = roster.rules.reorder else { return Vec::new() };
        let rungs: Vec<Rung> = roster.agents.iter().map(|listed| listed.rung.clone()).collect();
        let of_class = |class: FailureClass| {
            let score = |agent: &PluginId| {
                let known = self.durable.agents.get(agent).and_then(|record| record.scores.get(&class));
                known.copied().unwrap_or_default()
            };
            let scores: Vec<(PluginId, Score)> =
                rungs.iter().map(|rung| (rung.agent.clone(), score(&rung.agent))).collect();
            let order = order(&rungs, roster.rules.start, bounds, &scores);
            let scored = |at: usize| scores.get(at).cloned();
            let pairs = order.iter().enumerate().flat_map(|(now, first)| {
                let later = order.iter().skip(now + 1).filter(move |second| *second < first);
                later.filter_map(move |second| Some([scored(*first)?, scored(*second)?]))
            });
            let ahead = pairs.collect();
            let agents = order.iter().filter_map(|at| rungs.get(*at)).map(|rung| rung.agent.clone());
            AgentOrder { class, agents: agents.collect(), ahead }
        };
        FailureClass::ALL.into_iter().map(of_class).collect()
    }

    /// The agents of a roster, in its order.
    pub fn agents(&self, roster: &Roster, now: Timestamp) -> Vec<AgentStatus> {
        let agents = roster.agents.iter().enumerate().map(|(at, listed)| {
            let rung = &listed.rung;
            let record = self.durable.agents.get(&rung.agent);
            let disabled = rung.is_rstar() && roster.rules.rstar == 0 && roster.rules.hops == Hops::Ladder;
            let quarantined =
                self.durable.plugins.get(&rung.agent).is_some_and(|known| known.custody.is_out());
            let cooling = |record: &Record| record.cooling(rung, self.durable.started, now);
            let standing = match (&rung.out, record.map_or(Cooling::Not, cooling)) {
                (Some((reason, why)), _) => AgentStanding::Out(*reason, why.clone()),
                _ if quarantined => {
                    AgentStanding::Out(Skip::Quarantined, "the plugin is quarantined".to_owned())
                }
                _ if disabled => {
                    AgentStanding::Out(Skip::Disabled, "`RAZAR_RSTAR_THRESHOLD` is 0".to_owned())
                }
                (None, Cooling::Not) => AgentStanding::Available,
                (None, Cooling::Until { until, reason, why }) => AgentStanding::Cooling(until, reason, why),
                (None, Cooling::ForGood { why }) => AgentStanding::Out(Skip::OutOfService, why),
            };
            AgentStatus {
                agent: rung.agent.clone(),
                name: rung.name.clone(),
                active: at == roster.rules.start,
                standing,
                asked: record.map_or(0, |record| record.asked),
                answered: record.and_then(|record| record.answered),
                trouble: record
                    .and_then(|record| record.last.as_ref().map(|last| (last.trouble, last.at, record.row))),
            }
        });
        agents.collect()
    }
}
