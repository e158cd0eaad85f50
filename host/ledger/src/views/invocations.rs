//! `logs/razar_ai_invocations.json`: a line for each time that an agent was asked, answered, or another one's turn came; JSON lines,
//! whatever the name says, with sorted keys, as operators and their tools know them.
//!
//! | event | keys besides `event`, `timestamp` and `timestamp_iso` |
//! |---|---|
//! | `invocation` | `name`, `endpoint`, `context` |
//! | `attempt` | `component`, `attempt`, `error`, `patched`, `status`, `agent`, `agent_original`, `retries` |
//! | `escalation` | the same; the agent is the one that is asked from now on |
//!
//! A host writes it, one process alone, from facts; whoever wants a record to be there has it recorded. Records of the original
//! system that were imported stand in it like its own.

use std::collections::{BTreeMap, VecDeque};

use razar_core::effect::{Attempt, Effect, EffectOutcome};
use razar_core::fact::{Fact, Recorded};
use razar_core::id::ComponentId;
use razar_core::incident::Who;
use razar_core::redact::{Kind, Redactor};
use razar_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::escape;
use super::stack::Stack;
use crate::error::LedgerError;
use crate::moment;
use crate::reader::LedgerReader;

/// Below the root of the views.
pub(super) const NAME: &str = "logs/razar_ai_invocations.json";

/// A record: its keys are sorted.
type Record = BTreeMap<&'static str, Value>;

/// An attempt of an agent that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told<'a> {
    /// What was attempted.
    pub(super) attempt: &'a Attempt,
    /// The failure that it was about.
    pub(super) error: &'a str,
    /// Its patch passed the trial.
    pub(super) patched: bool,
}

impl<'a> Told<'a> {
    /// The attempt whose end a fact is, given the stack as it was before; also of one that a crash ended.
    pub(super) fn by(before: &'a Stack, recorded: &Recorded) -> Option<Self> {
        let (id, patched) = match &recorded.fact {
            Fact::EffectFinished { id, outcome: EffectOutcome::Attempted { end, .. } } => {
                (id, end.approved().is_some())
            }
            Fact::EffectUnknown { id } => (id, false),
            _ => return None,
        };
        let attempt = of_agent(before.effect(*id)?)?;
        Some(Self { attempt, error: before.error(&attempt.component), patched })
    }

    /// The agent's name as the roster spells it.
    pub(super) fn name(&self) -> String {
        name(self.attempt)
    }
}

/// An attempt, unless it is an operator's own.
fn of_agent(effect: &Effect) -> Option<&Attempt> {
    match effect {
        Effect::Attempt(attempt) if matches!(attempt.who, Who::Agent(_)) => Some(attempt),
        _ => None,
    }
}

fn name(attempt: &Attempt) -> String {
    attempt.name.clone().unwrap_or_else(|| attempt.who.to_string())
}

/// The line of one fact.
pub(super) fn lines(before: &Stack, recorded: &Recorded, out: &mut String) {
    let at = recorded.at;
    let line = match &recorded.fact {
        Fact::EffectStarted { id } => before.effect(*id).and_then(of_agent).map(|attempt| {
            let (component, error) = (&attempt.component, before.error(&attempt.component));
            let mut record = event("invocation", at);
            record.insert("name", name(attempt).into());
            // Where an agent's server is, is its operator's secret: facts do not know it.
            record.insert("endpoint", Value::Null);
            record.insert(
                "context",
                json!({ "component": component.as_str(), "error": without_secrets(error) }),
            );
            escape::json_line(&record)
        }),
        Fact::Escalated { component, name, .. } => {
            let number = before.attempts(component);
            Some(shown("escalation", at, component.as_str(), number, before.error(component), name, false))
        }
        Fact::Imported { source, text, .. } if source.ends_with("razar_ai_invocations.json") => {
            imported(text).map(|record| escape::json_line(&record))
        }
        _ => Told::by(before, recorded).map(|told| {
            let Told { attempt, error, patched } = &told;
            let (component, number) = (attempt.component.as_str(), attempt.number);
            shown("attempt", at, component, number, error, &told.name(), *patched)
        }),
    };
    if let Some(line) = line {
        out.push_str(&line);
        out.push('\n');
    }
}

/// What of a record is handed on to agents: the original's choice.
const HANDED_ON: [&str; 9] = [
    "agent",
    "agent_original",
    "attempt",
    "error",
    "event",
    "patched",
    "status",
    "timestamp",
    "timestamp_iso",
];

/// Facts that are looked at for it, the newest: an attempt must not wait for a ledger of years.
const LOOKED_AT: u64 = 5_000;

/// The newest records about a component, oldest first, as agents are told them: in every incident, also in those that are over.
pub fn newest(
    reader: &LedgerReader,
    component: &ComponentId,
    count: usize,
) -> Result<Vec<Map<String, Value>>, LedgerError> {
    let (mut stack, mut found) = (Stack::default(), VecDeque::new());
    let from = reader.head()?.seq.saturating_sub(LOOKED_AT).saturating_add(1);
    for recorded in reader.replay(from)? {
        let recorded = recorded?;
        let mut line = String::new();
        lines(&stack, &recorded, &mut line);
        stack.apply(&recorded);
        let Some(mut record) = imported(&line) else { continue };
        let about = record.get("component").and_then(Value::as_str);
        if !about.is_some_and(|about| about.eq_ignore_ascii_case(component.as_str())) {
            continue;
        }
        record.retain(|key, _| HANDED_ON.contains(&key.as_str()));
        found.push_back(record);
        if found.len() > count {
            found.pop_front();
        }
    }
    Ok(found.into())
}

/// An imported record; none of one that is not there whole.
pub(super) fn imported(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(record)) if !record.is_empty() => Some(record),
        _ => None,
    }
}

fn event(event: &str, at: Timestamp) -> Record {
    [
        ("event", event.into()),
        ("timestamp", moment::epoch(at).into()),
        ("timestamp_iso", moment::micro(at).into()),
    ]
    .into()
}

fn shown(
    what: &str,
    at: Timestamp,
    component: &str,
    attempt: u32,
    error: &str,
    agent: &str,
    patched: bool,
) -> String {
    let mut record = event(what, at);
    record.extend([
        ("component", component.into()),
        ("attempt", attempt.into()),
        ("error", without_secrets(error).into()),
        ("patched", patched.into()),
        ("status", if patched { "success" } else { "failure" }.into()),
        ("agent", agent.to_lowercase().into()),
        ("agent_original", agent.into()),
        ("retries", attempt.saturating_sub(1).into()),
    ]);
    escape::json_line(&record)
}

/// An error, as it may be handed on. Only shapes of secrets are known here: the file must say the same in every environment.
pub(super) fn without_secrets(error: &str) -> String {
    Redactor::default().redact("error", Kind::Words, error)
}
