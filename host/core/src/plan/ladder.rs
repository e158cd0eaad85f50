//! Who is asked for a repair, in which order, how often, and within which bounds: validated, closed.

use super::money::{Money, Price};
use crate::fact::Skip;
use crate::id::PluginId;
use crate::time::Millis;

/// The plugin that comes last: rStar.
pub const RSTAR: &str = "agent-rstar";

/// Attempts of one agent in one incident, unless somebody says otherwise.
pub(super) const ATTEMPTS: u32 = 3;

/// How long an agent is left alone after trouble, at first.
pub(super) const COOLDOWN: Millis = Millis::seconds(30);

/// The agents of one component, from the first to the last, and what bounds them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ladder {
    /// In the order in which they are asked.
    pub rungs: Vec<Rung>,
    /// The bounds.
    pub rules: Climbing,
}

/// One agent of a ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// Who.
    pub agent: PluginId,
    /// Its name as the roster spells it; the plugin's, if no roster names it.
    pub name: String,
    /// How often it is asked in one round through the ladder.
    pub attempts: u32,
    /// How long it is left alone after trouble, at first.
    pub cooldown: Millis,
    /// What its tokens cost.
    pub price: Price,
    /// Its credential is read again for every call, so that one which is missing or wrong may be another one the next time.
    pub rereads: bool,
    /// Why it cannot be asked, whatever happens, as long as this host runs.
    pub out: Option<(Skip, String)>,
}

impl Rung {
    /// An agent with nothing special about it.
    pub fn plain(agent: PluginId, attempts: u32) -> Self {
        let name = agent.to_string();
        Self { agent, name, attempts, cooldown: COOLDOWN, price: Price::default(), rereads: false, out: None }
    }

    /// Whether it comes last, whatever the order says.
    pub fn is_rstar(&self) -> bool {
        self.agent.as_str() == RSTAR
    }
}

/// How the ladder is climbed, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Climbing {
    /// When the next agent's turn comes.
    pub hops: Hops,
    /// `RAZAR_RSTAR_THRESHOLD`.
    pub rstar: u32,
    /// `RAZAR_ESCALATION_WARNING_THRESHOLD`; 0 for never.
    pub warning: u32,
    /// How long an incident waits for an agent that is left alone for a moment, when nobody else is left.
    pub wait: Millis,
    /// What one incident may take.
    pub budget: Budget,
    /// `--long-task`: the ladder is climbed again and again.
    pub rounds: bool,
    /// Where climbing begins: the place of the active agent.
    pub start: usize,
    /// The ladder is the roster's, which says who is active.
    pub roster: bool,
    /// All that can be asked are asked side by side, rStar excepted.
    pub tournament: bool,
    /// How far the counts of earlier attempts may move an agent; not at all without it.
    pub reorder: Option<Reorder>,
}

/// How far the counts of earlier attempts may move an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reorder {
    /// So many places, forward or back.
    pub places: usize,
    /// Only agents with so many attempts at failures of the class change places.
    pub after: u32,
}

impl Default for Climbing {
    fn default() -> Self {
        Self {
            hops: Hops::Ladder,
            rstar: 9,
            warning: 3,
            wait: Millis::seconds(60),
            budget: Budget::default(),
            rounds: false,
            start: 0,
            roster: false,
            tournament: false,
            reorder: None,
        }
    }
}

/// When the next agent's turn comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hops {
    /// When the one before has had its attempts; rStar's also when `rstar` attempts have failed. 0 disables rStar.
    #[default]
    Ladder,
    /// When `rstar` attempts more have failed, rStar's like everybody else's. 0 stays with the first one.
    PerHop,
}

/// What one incident may take, over all agents; none is without bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Attempts that are begun.
    pub attempts: Option<u32>,
    /// Since it was opened.
    pub time: Option<Millis>,
    /// Read and written.
    pub tokens: Option<u64>,
    /// In the unit of the prices.
    pub money: Option<Money>,
}

impl Ladder {
    /// These agents, so often each, and nothing else said.
    pub fn of(agents: impl IntoIterator<Item = PluginId>, attempts: u32) -> Self {
        let rungs = agents.into_iter().map(|agent| Rung::plain(agent, attempts)).collect();
        Self { rungs, rules: Climbing::default() }
    }

    /// The rung of an agent.
    pub fn rung(&self, agent: &PluginId) -> Option<(usize, &Rung)> {
        self.rungs.iter().enumerate().find(|(_, rung)| rung.agent == *agent)
    }
}
