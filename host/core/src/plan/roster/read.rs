//! From JSON to the roster's types. Judges form only.

use crate::document::roster::{Agent, Amount, Auth, Budget, Entry, Price, Reorder, Roster};
use crate::plan::json::Node;
use crate::plan::money::Money;
use crate::plan::place::{Place, Problems};
use crate::plan::read::{Fields, count, list, span, text, wrong};

pub(in crate::plan) const ROSTER: &[&str] =
    &["$schema", "active", "agents", "escalation", "wait", "budget", "reorder"];
pub(in crate::plan) const AGENT: &[&str] =
    &["name", "endpoint", "auth", "plugin", "attempts", "cooldown", "price"];
pub(in crate::plan) const AUTH: &[&str] = &["type", "token", "key"];
pub(in crate::plan) const PRICE: &[&str] = &["input", "output"];
pub(in crate::plan) const BUDGET: &[&str] = &["attempts", "time", "tokens", "money"];
pub(in crate::plan) const REORDER: &[&str] = &["places", "after"];

/// Reads the whole document; what could not be read is absent and reported.
pub(super) fn roster(node: &Node, problems: &mut Problems<'_>) -> Option<Roster> {
    let top = Fields::open(node, &Place::Root, ROSTER, problems)?;
    Some(Roster {
        schema: top.read("$schema", problems, text),
        active: top.read("active", problems, text),
        agents: top.read("agents", problems, agents),
        escalation: top.read("escalation", problems, text),
        wait: top.read("wait", problems, span),
        budget: top.read("budget", problems, budget),
        reorder: top.read("reorder", problems, reorder),
    })
}

fn agents(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Vec<Entry>> {
    let items = list(node, place, problems)?;
    let read = |(index, item): (usize, &Node)| entry(item, &Place::Index(place, index), problems);
    // What was refused is kept as an empty entry, so that indices stay those of the file.
    Some(items.iter().enumerate().map(read).map(Option::unwrap_or_default).collect())
}

fn entry(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Entry> {
    match node {
        Node::Text(name) => Some(Entry::Name(name.clone())),
        Node::Object(_) => agent(node, place, problems).map(|agent| Entry::Agent(Box::new(agent))),
        other => wrong(other, "a name or an object", place, problems),
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self::Agent(Box::default())
    }
}

fn agent(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Agent> {
    let fields = Fields::open(node, place, AGENT, problems)?;
    Some(Agent {
        name: fields.read("name", problems, text),
        endpoint: fields.read("endpoint", problems, text),
        auth: fields.read("auth", problems, auth),
        plugin: fields.read("plugin", problems, text),
        attempts: fields.read("attempts", problems, count),
        cooldown: fields.read("cooldown", problems, span),
        price: fields.read("price", problems, price),
    })
}

fn auth(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Auth> {
    let fields = Fields::open(node, place, AUTH, problems)?;
    Some(Auth {
        kind: fields.read("type", problems, text),
        token: fields.read("token", problems, text),
        key: fields.read("key", problems, text),
    })
}

fn price(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Price> {
    let fields = Fields::open(node, place, PRICE, problems)?;
    Some(Price {
        input: fields.read("input", problems, amount),
        output: fields.read("output", problems, amount),
    })
}

fn budget(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Budget> {
    let fields = Fields::open(node, place, BUDGET, problems)?;
    Some(Budget {
        attempts: fields.read("attempts", problems, count),
        time: fields.read("time", problems, span),
        tokens: fields.read("tokens", problems, tokens),
        money: fields.read("money", problems, amount),
    })
}

fn reorder(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Reorder> {
    let fields = Fields::open(node, place, REORDER, problems)?;
    Some(Reorder {
        places: fields.read("places", problems, count),
        after: fields.read("after", problems, count),
    })
}

fn tokens(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<u64> {
    match node {
        Node::Number(number) if number.as_u64().is_some() => number.as_u64(),
        other => wrong(other, "a whole number of tokens", place, problems),
    }
}

fn amount(node: &Node, place: &Place<'_>, problems: &mut Problems<'_>) -> Option<Amount> {
    let Node::Number(number) = node else { return wrong(node, "an amount such as 0.6", place, problems) };
    let read = Money::read(&number.to_string());
    if read.is_none() {
        problems.add(place, "must be an amount that is not negative, with at most six decimals", None);
    }
    read.map(Amount)
}
