//! The roster as written: who repairs, in which order, and within which bounds. The keys of the original system are `active`,
//! `agents`, `name`, `endpoint` and `auth`; the others are this host's. What it means is [`crate::plan`]'s business; the JSON
//! Schema comes from these types, and a test keeps the reader's keys in step with them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::boot::Span;
use crate::plan::Money;

/// Who is asked for repairs when a component's own `repair` names nobody, from the first to the last.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(title = "razar-host roster of repair agents", deny_unknown_fields)]
pub struct Roster {
    /// Address of this schema, for editors.
    #[schemars(rename = "$schema")]
    pub schema: Option<String>,
    /// The agent that is asked first; those before it are not asked. Default: the first one. Written by the host when it
    /// escalates, and put back when the repair has not helped.
    pub active: Option<String>,
    /// The agents, in the order in which they are asked.
    #[schemars(length(max = 32))]
    pub agents: Option<Vec<Entry>>,
    /// `ladder` (the default): each agent has its attempts, then the next one has his; rStar comes last, or as soon as
    /// `RAZAR_RSTAR_THRESHOLD` attempts have failed. `per-hop`, as the original system counted: every
    /// `RAZAR_RSTAR_THRESHOLD` failed attempts the next agent is asked, and rStar is one like the others.
    #[schemars(extend("enum" = ["ladder", "per-hop", null]))]
    pub escalation: Option<String>,
    /// How long an incident waits for an agent that is left alone for a moment, when nobody else is left. Default: `60 s`.
    pub wait: Option<Span>,
    /// What one incident may take, over all agents. Without it, only the agents' attempts bound it.
    pub budget: Option<Budget>,
    /// How far the counts of earlier attempts may move an agent. Without it, the order is always the one above.
    pub reorder: Option<Reorder>,
}

/// One agent, or just its name.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub enum Entry {
    /// Only its name.
    Name(#[schemars(length(min = 1, max = 64))] String),
    /// An agent with what is to be said about it.
    Agent(Box<Agent>),
}

/// One agent.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields, extend("required" = ["name"]))]
pub struct Agent {
    /// Its name: `Crown`, `Kimi-cho`, `K2 Coder` (or `kimi2`), `Air Star`, `rStar`, or any other one. It stands for the agent
    /// plugin of that name: `K2 Coder` for `agent-k2`.
    #[schemars(length(min = 1, max = 64))]
    pub name: Option<String>,
    /// Where its model is reached, for people: what it may reach is said by its grant in `grants.toml`, and `check` warns when
    /// the two differ.
    pub endpoint: Option<String>,
    /// How it is paid for in the original system. A token that is written here is never used: grant the plugin a `secret`.
    pub auth: Option<Auth>,
    /// The agent plugin, when its name is not the plugin's.
    pub plugin: Option<String>,
    /// How often it is asked in one incident, instead of `repair.attempts`.
    #[schemars(range(min = 1, max = 20))]
    pub attempts: Option<u32>,
    /// How long it is left alone after trouble, at first; doubles with every further one. Default: `30 s`.
    pub cooldown: Option<Span>,
    /// What a million tokens cost, in the operator's own unit.
    pub price: Option<Price>,
}

/// As the original system wrote it.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Auth {
    /// `bearer` or `api_key`; not looked at.
    #[schemars(rename = "type")]
    pub kind: Option<String>,
    /// `${NAME}`: the environment variable that holds the token.
    pub token: Option<String>,
    /// The same as `token`.
    pub key: Option<String>,
}

/// What a million tokens cost.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Price {
    /// Read.
    pub input: Option<Amount>,
    /// Written.
    pub output: Option<Amount>,
}

/// The order in which agents are asked may follow how many of their patches have held, for each class of failure by itself. rStar never
/// moves, nobody moves past it, and whoever stands before the active agent stays there.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields, extend("required" = ["places"]))]
pub struct Reorder {
    /// So many places an agent may move, forward or back.
    #[schemars(range(min = 1, max = 31))]
    pub places: Option<u32>,
    /// Only agents with so many attempts at failures of that class change places. Default: 10.
    #[schemars(range(min = 1, max = 10000))]
    pub after: Option<u32>,
}

/// What one incident may take. Nobody is asked any more once one of them is used up.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Budget {
    /// Attempts over all agents; `--remote-attempts` overrides it.
    #[schemars(range(min = 1, max = 10000))]
    pub attempts: Option<u32>,
    /// Time since it was opened.
    pub time: Option<Span>,
    /// Tokens, read and written.
    pub tokens: Option<u64>,
    /// Money, in the unit of the agents' prices.
    pub money: Option<Amount>,
}

/// An amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub Money);

impl JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount in the operator's own unit, with at most six decimals.",
            "type": "number",
            "minimum": 0
        })
    }
}

/// The JSON Schema (draft 2020-12) of a roster, for editors and CI.
pub fn schema() -> Value {
    schemars::schema_for!(Roster).to_value()
}
