//! `logs/razar_long_task.json`: every attempt of incidents whose ladder was climbed more than once, and their being aborted; a JSON
//! array as the original's long task wrote it, with an end.

use std::collections::{BTreeMap, VecDeque};

use razar_core::fact::{Closing, Fact, Recorded};
use razar_core::id::{ComponentId, IncidentId};
use razar_core::time::Timestamp;
use serde::Serialize;

use super::invocations::{Told, without_secrets};
use super::stack::Stack;
use crate::moment;

/// Below the root of the views.
pub(super) const NAME: &str = "logs/razar_long_task.json";

/// Records that are kept, the newest: the file is written anew with every one.
pub(super) const KEPT: usize = 500;

/// Attempts of one incident that are remembered until it is known whether it is a long one.
const FIRST_ROUND: usize = 50;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct LongTask {
    open: BTreeMap<IncidentId, Task>,
    shown: VecDeque<Record>,
    revision: u64,
}

/// One incident.
#[derive(Debug, Default)]
struct Task {
    /// It is in its second round, or was.
    long: bool,
    /// Nobody has gone on since it was aborted.
    aborted: bool,
    /// Not shown yet.
    first: VecDeque<Record>,
    last: Option<Record>,
}

/// One line of the array, in the order of the original's keys.
#[derive(Debug, Clone, Serialize)]
struct Record {
    component: String,
    attempt: u32,
    error: String,
    patched: bool,
    aborted: bool,
    timestamp: f64,
}

impl Record {
    fn new(told: &Told<'_>, at: Timestamp) -> Self {
        let (component, error) = (told.attempt.component.to_string(), without_secrets(told.error));
        let (attempt, patched) = (told.attempt.number, told.patched);
        Self { component, attempt, error, patched, aborted: false, timestamp: moment::epoch(at) }
    }

    fn of(component: &ComponentId, before: &Stack) -> Self {
        let (component, error) = (component.to_string(), without_secrets(before.error(component)));
        Self { component, attempt: 0, error, patched: false, aborted: false, timestamp: 0.0 }
    }
}

impl LongTask {
    /// Takes one fact in, given the stack as it was before.
    pub(super) fn fold(&mut self, before: &Stack, recorded: &Recorded) {
        let at = recorded.at;
        match &recorded.fact {
            Fact::RoundBegan { incident, component, .. } => {
                let task = self.open.entry(*incident).or_default();
                task.long = true;
                let first = std::mem::take(&mut task.first);
                task.last.get_or_insert_with(|| Record::of(component, before));
                first.into_iter().for_each(|record| self.show(record));
            }
            Fact::IncidentClosed { incident, outcome, .. } => {
                if matches!(outcome, Closing::Withdrawn { .. }) {
                    self.abort(at, Some(*incident));
                }
                self.open.remove(incident);
            }
            Fact::ShutdownStarted { .. } | Fact::BootHalted { .. } => self.abort(at, None),
            _ => {
                let Some(told) = Told::by(before, recorded) else { return };
                let record = Record::new(&told, at);
                let task = self.open.entry(told.attempt.incident).or_default();
                (task.aborted, task.last) = (false, Some(record.clone()));
                if task.long {
                    self.show(record);
                } else {
                    if task.first.len() == FIRST_ROUND {
                        task.first.pop_front();
                    }
                    task.first.push_back(record);
                }
            }
        }
    }

    /// Another number whenever the file is another; 0 while there is nothing to show.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// The file.
    pub(super) fn render(&self) -> String {
        super::escape::json_file(&self.shown)
    }

    fn abort(&mut self, at: Timestamp, only: Option<IncidentId>) {
        let wanted = |id: &IncidentId| only.is_none_or(|only| only == *id);
        let open = self.open.iter_mut().filter(|(id, task)| wanted(id) && task.long && !task.aborted);
        let aborted: Vec<Record> = open
            .filter_map(|(_, task)| {
                task.aborted = true;
                let last = task.last.clone()?;
                Some(Record { patched: false, aborted: true, timestamp: moment::epoch(at), ..last })
            })
            .collect();
        aborted.into_iter().for_each(|record| self.show(record));
    }

    fn show(&mut self, record: Record) {
        if self.shown.len() == KEPT {
            self.shown.pop_front();
        }
        self.shown.push_back(record);
        self.revision += 1;
    }
}
