//! The account at the end: what was ready, what was not and why, what helps, and how long it took.

use std::fmt::Write as _;

use razar_core::count::counted;
use razar_core::failure::FailureClass;
use razar_core::id::{ComponentId, IncidentId};
use razar_core::supervisor::{Stage, Status, Summary};
use razar_core::time::Millis;
use serde::Serialize;

use super::{escape, moment};
use crate::drive::Snapshot;

/// How the run went, in numbers and names; the components as they were before everything was stopped.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ending {
    /// Which boot.
    pub(crate) boot: Option<u64>,
    /// Its mission.
    pub(crate) mission: Option<String>,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Whose failure halted it.
    pub(crate) halted: Option<Absent>,
    /// How long this run lasted; the boot may be older.
    pub(crate) lasted_ms: u64,
    /// How long the boot took until every component was settled, if it ever was; also when an earlier host did it.
    pub(crate) boot_took_ms: Option<u64>,
    /// All of them.
    pub(crate) components: usize,
    /// Ready.
    pub(crate) ready: Vec<String>,
    /// Taken out, and why.
    pub(crate) quarantined: Vec<Absent>,
    /// Waiting for one that was taken out.
    pub(crate) blocked: Vec<Absent>,
    /// In any other state.
    pub(crate) unsettled: Vec<Absent>,
    /// Incidents that were open to the end.
    pub(crate) incidents: Vec<Left>,
}

/// An incident that this run did not close for a better reason than its own end.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Left {
    /// Its number.
    incident: IncidentId,
    /// Whose failure it is.
    component: String,
    /// Nobody has closed it.
    open: bool,
}

impl Left {
    /// The next run goes on with it.
    pub(crate) fn open(incident: IncidentId, component: &ComponentId) -> Self {
        Self { incident, component: component.to_string(), open: true }
    }

    /// It was closed because everything was stopped.
    pub(crate) fn given_up(incident: IncidentId, component: &ComponentId) -> Self {
        Self { open: false, ..Self::open(incident, component) }
    }

    /// The same, once it is.
    pub(crate) fn give_up(&mut self) {
        self.open = false;
    }

    fn in_words(&self) -> String {
        let Self { incident, component, open } = self;
        match open {
            true => format!(
                "incident {incident} of {component} is open: the next `razar-host run` goes on with it"
            ),
            false => format!(
                "incident {incident} of {component} was given up with the run: the next `razar-host run` starts {component} \
                 again, and asks again if that fails"
            ),
        }
    }
}

/// How a run ended: closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Everything was stopped, because somebody asked.
    Stopped,
    /// Everything was stopped, because a vital component failed.
    Halted,
    /// The host ended and the services go on.
    LeftRunning,
    /// There was never a boot.
    NotBooted,
}

impl Outcome {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Halted => "halted",
            Self::LeftRunning => "left running",
            Self::NotBooted => "not booted",
        }
    }
}

/// One that is not ready.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Absent {
    /// Whose.
    pub(crate) component: String,
    /// One word.
    pub(crate) state: &'static str,
    /// In words.
    pub(crate) reason: Option<String>,
    /// Where to look.
    pub(crate) class: Option<&'static str>,
    /// What helps.
    pub(crate) hint: Option<&'static str>,
}

impl Ending {
    /// The account of a snapshot, for a run that lasted so long. `class` knows the newest failures of this run.
    pub(crate) fn new(
        snapshot: &Snapshot,
        outcome: Outcome,
        lasted: Millis,
        class: impl Fn(&str) -> Option<FailureClass>,
    ) -> Self {
        let boot = snapshot.boot.as_ref();
        let absent = |summary: &Summary| {
            let class = class(summary.id.as_str()).or(summary.class);
            Absent::new(&summary.id, summary.status.as_str(), summary.reason.clone(), class)
        };
        let of = |status: Status| {
            snapshot.components.iter().filter(move |summary| summary.status == status).map(absent).collect()
        };
        let settled = [Status::Ready, Status::Quarantined, Status::Blocked];
        Self {
            boot: boot.map(|boot| boot.id.0),
            mission: boot.and_then(|boot| boot.mission.clone()),
            outcome: if boot.is_some() { outcome } else { Outcome::NotBooted },
            halted: None,
            lasted_ms: lasted.0,
            boot_took_ms: boot.and_then(|boot| boot.took).map(|took| took.0),
            components: snapshot.components.len(),
            ready: snapshot
                .components
                .iter()
                .filter(|summary| summary.status == Status::Ready)
                .map(|summary| summary.id.to_string())
                .collect(),
            quarantined: of(Status::Quarantined),
            blocked: of(Status::Blocked),
            unsettled: snapshot
                .components
                .iter()
                .filter(|summary| !settled.contains(&summary.status))
                .map(absent)
                .collect(),
            incidents: Vec::new(),
        }
    }

    /// These incidents were open to the end; what was under way in them is so no more.
    pub(crate) fn leave(&mut self, incidents: Vec<Left>) {
        for absent in &mut self.unsettled {
            if incidents.iter().any(|left| left.component == absent.component) {
                absent.reason = None;
            }
        }
        self.incidents = incidents;
    }

    /// The boot was halted by the failure of a vital component.
    pub(crate) fn halt(&mut self, by: Absent) {
        if self.outcome == Outcome::Stopped {
            self.outcome = Outcome::Halted;
        }
        for group in [&mut self.quarantined, &mut self.blocked, &mut self.unsettled] {
            group.retain(|absent| absent.component != by.component);
        }
        self.halted = Some(by);
    }
}

impl Absent {
    /// One that is not ready.
    pub(crate) fn new(
        component: &ComponentId,
        state: &'static str,
        reason: Option<String>,
        class: Option<FailureClass>,
    ) -> Self {
        Self {
            component: component.to_string(),
            state,
            reason,
            class: class.map(FailureClass::as_str),
            hint: class.map(FailureClass::hint),
        }
    }
}

/// A stage in one word.
pub(crate) const fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::Booting => "booting",
        Stage::Up => "up",
        Stage::Halting => "halting",
        Stage::Stopping => "stopping",
        Stage::Ended => "ended",
    }
}

/// The account for people.
pub(crate) fn summary(ending: &Ending) -> String {
    let mut out = String::new();
    let boot = ending.boot.map(|boot| format!("boot {boot}")).unwrap_or_else(|| "no boot".to_owned());
    let mission =
        ending.mission.as_deref().map(|m| format!(" for mission `{}`", escape::line(m))).unwrap_or_default();
    let took = ending.boot_took_ms.map(|took| format!(", booted in {}", moment::span(Millis(took))));
    // It is over, or it is still so.
    let ready = if ending.outcome == Outcome::LeftRunning { "ready" } else { "had been ready" };
    let _ = writeln!(
        out,
        "{boot}{mission}: {} after {}{}; {} of {} {ready}",
        ending.outcome.in_words(),
        moment::span(Millis(ending.lasted_ms)),
        took.unwrap_or_default(),
        ending.ready.len(),
        counted(ending.components, "component"),
    );
    if !ending.ready.is_empty() {
        let _ = writeln!(out, "  ready        {}", ending.ready.join(", "));
    }
    let groups = [&ending.quarantined, &ending.blocked, &ending.unsettled];
    for absent in ending.halted.iter().chain(groups.into_iter().flatten()) {
        push(&mut out, absent);
    }
    for left in &ending.incidents {
        let _ = writeln!(out, "  {}", left.in_words());
    }
    out
}

fn push(out: &mut String, absent: &Absent) {
    let reason = absent.reason.as_deref().map(|text| format!(": {}", escape::line(text))).unwrap_or_default();
    let class = absent.class.map(|class| format!(" [{class}]")).unwrap_or_default();
    let _ = writeln!(out, "  {:<12} {}{class}{reason}", absent.state, absent.component);
    if let Some(hint) = absent.hint {
        let _ = writeln!(out, "               hint: {hint}");
    }
    if absent.state == Status::Quarantined.as_str() {
        let _ =
            writeln!(out, "               `razar-host quarantine release {}` lets it out", absent.component);
    }
}
