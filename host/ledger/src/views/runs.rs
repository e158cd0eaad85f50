//! Boots as runs: who needed how many launches, and how it went. The boot history and the boot metrics show the same
//! numbers because both are drawn from here.

use std::collections::{BTreeMap, HashMap, VecDeque};

use razar_core::fact::{Fact, Recorded};
use razar_core::id::ComponentId;
use razar_core::time::{Millis, Timestamp};
use serde::Serialize;

use super::stack::Stack;
use crate::moment;

/// Runs that are kept: at a boot a day, more than half a year.
pub(super) const KEPT: usize = 200;

/// Components of all kept runs together: two hundred boots of ten thousand would be a file nobody can open.
pub(super) const ROWS: usize = 20_000;

/// `logs/razar_boot_history.json`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Runs {
    history: VecDeque<Run>,
    best_sequence: Option<Best>,
    /// Incidents that ended without the component, for ever.
    component_failures: BTreeMap<String, u64>,
    #[serde(skip)]
    open: Option<Open>,
    /// Counts what changes the file, so that it is drawn only then.
    #[serde(skip)]
    revision: u64,
}

/// One boot that is over.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Run {
    pub(super) timestamp: f64,
    pub(super) components: Vec<Launches>,
    pub(super) success_rate: f64,
    pub(super) total_time: f64,
    pub(super) first_attempt_successes: usize,
    pub(super) retry_total: u64,
    pub(super) component_total: usize,
    pub(super) component_successes: usize,
    pub(super) component_failures: usize,
}

/// One component in a run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Launches {
    name: String,
    attempts: u64,
    success: bool,
}

#[derive(Debug, Serialize)]
struct Best {
    components: Vec<String>,
    success_rate: f64,
    total_time: f64,
    timestamp: f64,
}

#[derive(Debug)]
struct Open {
    started: Timestamp,
    /// All that the boot was about, in document order.
    planned: Vec<ComponentId>,
    /// In the order of their first launch.
    components: Vec<Launches>,
    places: HashMap<ComponentId, usize>,
}

impl Runs {
    /// The newest boot that is over.
    pub(super) fn latest(&self) -> Option<&Run> {
        self.history.back()
    }

    /// Another number whenever the file is another; 0 while there is nothing to show.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// Takes one fact in, given the stack as it was before.
    pub(super) fn fold(&mut self, before: &Stack, recorded: &Recorded) {
        match &recorded.fact {
            Fact::BootStarted { components, .. } => {
                // An open run belongs to a boot that nobody came back to.
                self.close(recorded.at);
                self.open = Some(Open {
                    started: recorded.at,
                    planned: components.clone(),
                    components: Vec::new(),
                    places: HashMap::new(),
                });
            }
            Fact::EffectStarted { id } => {
                if let Some(component) = before.launched(*id) {
                    self.entry(component, |launches| launches.attempts += 1);
                }
            }
            Fact::Ready { component, .. } => self.entry(component, |launches| launches.success = true),
            // Not even launched: it failed too often before.
            Fact::Quarantined { component, reason, .. } => {
                self.entry(component, |launches| launches.success = false);
                if reason.is_failure() {
                    self.count(component);
                }
            }
            Fact::BootHalted { component, .. } => {
                self.entry(component, |launches| launches.success = false);
                if !before.is_quarantined(component) {
                    self.count(component);
                }
                self.close(recorded.at);
            }
            Fact::BootCompleted { took, .. } => {
                let started = self.open.as_ref().map(|open| open.started).unwrap_or_default();
                self.close(started + *took);
            }
            Fact::BootEnded { .. } => self.close(recorded.at),
            _ => {}
        }
    }

    fn entry(&mut self, component: &ComponentId, change: impl FnOnce(&mut Launches)) {
        let Some(open) = &mut self.open else { return };
        let place = *open.places.entry(component.clone()).or_insert_with(|| {
            open.components.push(Launches { name: component.to_string(), attempts: 0, success: false });
            open.components.len() - 1
        });
        if let Some(launches) = open.components.get_mut(place) {
            change(launches);
        }
    }

    fn count(&mut self, component: &ComponentId) {
        self.revision += 1;
        *self.component_failures.entry(component.to_string()).or_default() += 1;
    }

    fn close(&mut self, ended: Timestamp) {
        // Those that were never launched belong to the boot all the same.
        for component in self.open.as_mut().map(|open| std::mem::take(&mut open.planned)).unwrap_or_default()
        {
            self.entry(&component, |_| {});
        }
        let Some(open) = self.open.take() else { return };
        let run = Run::of(open.components, open.started, ended.since(open.started));
        let better = self.best_sequence.as_ref().is_none_or(|best| {
            run.success_rate > best.success_rate
                || (run.success_rate >= best.success_rate && run.total_time < best.total_time)
        });
        if better {
            self.best_sequence = Some(Best {
                components: run.components.iter().filter(|c| c.success).map(|c| c.name.clone()).collect(),
                success_rate: run.success_rate,
                total_time: run.total_time,
                timestamp: run.timestamp,
            });
        }
        self.history.push_back(run);
        self.revision += 1;
        let mut rows: usize = self.history.iter().map(|run| run.component_total).sum();
        while self.history.len() > KEPT || (rows > ROWS && self.history.len() > 1) {
            rows -= self.history.pop_front().map_or(0, |run| run.component_total);
        }
    }
}

impl Run {
    fn of(components: Vec<Launches>, started: Timestamp, took: Millis) -> Self {
        let successes = components.iter().filter(|c| c.success).count();
        Self {
            timestamp: moment::epoch(started),
            success_rate: rate(successes, components.len()),
            total_time: took.0 as f64 / 1000.0,
            first_attempt_successes: components.iter().filter(|c| c.success && c.attempts <= 1).count(),
            retry_total: components.iter().map(|c| c.attempts.saturating_sub(1)).sum(),
            component_total: components.len(),
            component_successes: successes,
            component_failures: components.len() - successes,
            components,
        }
    }
}

/// The part that succeeded; nothing of nothing is a failure of nobody.
pub(super) fn rate(successes: usize, total: usize) -> f64 {
    if total == 0 { 1.0 } else { successes as f64 / total as f64 }
}
