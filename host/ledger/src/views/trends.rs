//! `monitoring/self_healing_ledger/razar_agent_trends.json`: how often each agent was asked about each component on each day, and
//! how often its patch passed; imported records of the original system count, too.

use std::collections::BTreeMap;

use razar_core::fact::{Fact, Recorded};
use razar_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::escape;
use super::invocations::{self, Told};
use super::stack::Stack;
use crate::moment;

/// Below the root of the views.
pub(super) const NAME: &str = "monitoring/self_healing_ledger/razar_agent_trends.json";

/// Rows that are kept, of the newest days: a year of a stack with a few bad days.
pub(super) const KEPT: usize = 2_000;

/// A day, an agent, a component: the order of the file.
type Row = (String, String, String);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Trends {
    rows: BTreeMap<Row, Count>,
    revision: u64,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    attempts: u64,
    successes: u64,
    first: Timestamp,
    last: Timestamp,
}

#[derive(Serialize)]
struct Shown<'a> {
    date: &'a str,
    agent: &'a str,
    component: &'a str,
    attempts: u64,
    successes: u64,
    failures: u64,
    success_rate: f64,
    first_timestamp: String,
    last_timestamp: String,
}

impl Trends {
    /// Takes one fact in, given the stack as it was before.
    pub(super) fn fold(&mut self, before: &Stack, recorded: &Recorded) {
        if let Some(told) = Told::by(before, recorded) {
            let component = told.attempt.component.as_str();
            return self.count(recorded.at, &told.name(), component, told.patched);
        }
        let Fact::Imported { source, text, when: Some(when), .. } = &recorded.fact else { return };
        if !source.ends_with("razar_ai_invocations.json") {
            return;
        }
        let Some(record) = invocations::imported(text) else { return };
        let word = |key: &str| record.get(key).and_then(Value::as_str);
        let success = match (record.get("patched").and_then(Value::as_bool), word("status")) {
            (Some(patched), _) => patched,
            (None, Some("success")) => true,
            (None, Some("failure")) => false,
            (None, _) => return,
        };
        if matches!(word("event"), None | Some("attempt")) {
            let agent = word("agent").or(word("agent_original")).unwrap_or("unknown");
            self.count(*when, agent, word("component").unwrap_or("unknown"), success);
        }
    }

    fn count(&mut self, at: Timestamp, agent: &str, component: &str, success: bool) {
        let row = (moment::day(at), agent.to_lowercase(), component.to_owned());
        let count = self.rows.entry(row).or_insert(Count { attempts: 0, successes: 0, first: at, last: at });
        count.attempts += 1;
        count.successes += u64::from(success);
        (count.first, count.last) = (count.first.min(at), count.last.max(at));
        if self.rows.len() > KEPT {
            self.rows.pop_first();
        }
        self.revision += 1;
    }

    /// Another number whenever the file is another; 0 while there is nothing to show.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// The file.
    pub(super) fn render(&self) -> String {
        let rows: Vec<Shown<'_>> = self.rows.iter().map(|(row, count)| Shown::of(row, *count)).collect();
        escape::json_file(&rows)
    }
}

impl<'a> Shown<'a> {
    fn of((date, agent, component): &'a Row, count: Count) -> Self {
        let Count { attempts, successes, first, last } = count;
        let rate = successes as f64 / attempts as f64;
        Self {
            date,
            agent,
            component,
            attempts,
            successes,
            failures: attempts - successes,
            success_rate: (rate * 10_000.0).round() / 10_000.0,
            first_timestamp: moment::micro(first),
            last_timestamp: moment::micro(last),
        }
    }
}
