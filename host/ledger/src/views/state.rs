//! `logs/razar_state.json`: the superset of the models that operators' tools read. The runtime model (events, probes,
//! handshake), the checkpoint (`last_component`, `history`) and the documented view (`mission`, `last_boot`,
//! `components`, `quarantine`) stand side by side; `ledger` is the anchor by which a shortened ledger shows.

use std::collections::{BTreeMap, HashSet, VecDeque};

use razar_core::fact::{Fact, Recorded};
use razar_core::failure::FailureKind;
use razar_core::id::ComponentId;
use razar_core::time::Timestamp;
use serde::Serialize;

use super::stack::Stack;
use super::{escape, runs};
use crate::chain::Head;
use crate::moment;

/// Below the root of the views.
pub(super) const NAME: &str = "logs/razar_state.json";
/// Events, and names in the history, that are kept; all of them are in the ledger.
pub(super) const EVENTS: usize = 1000;

/// What the file needs beyond the stack.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    last_component: String,
    /// In the order in which they became ready in this boot.
    history: VecDeque<String>,
    events: VecDeque<Event>,
    probes: BTreeMap<String, Probe>,
}

#[derive(Debug, Serialize)]
struct Event {
    step: &'static str,
    status: &'static str,
    timestamp: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_rate: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Probe {
    status: &'static str,
    timestamp: f64,
}

#[derive(Serialize)]
struct File<'a> {
    last_component: &'a str,
    history: &'a VecDeque<String>,
    capabilities: [&'a str; 0],
    downtime: BTreeMap<&'a str, &'a str>,
    launched_models: [&'a str; 0],
    handshake: Handshake<'a>,
    glm4v_present: bool,
    events: &'a VecDeque<Event>,
    probes: &'a BTreeMap<String, Probe>,
    mission: Option<&'a str>,
    last_boot: Option<String>,
    components: Vec<Component<'a>>,
    quarantine: Vec<&'a str>,
    ledger: Anchor,
}

#[derive(Serialize)]
struct Handshake<'a> {
    acknowledgement: &'a str,
    capabilities: [&'a str; 0],
    downtime: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Component<'a> {
    id: &'a str,
    state: &'static str,
}

#[derive(Serialize)]
struct Anchor {
    seq: u64,
    hash: String,
}

impl Chronicle {
    /// Takes one fact in, given the stack as it was before.
    pub(super) fn fold(&mut self, before: &Stack, recorded: &Recorded) {
        let at = recorded.at;
        match &recorded.fact {
            Fact::BootStarted { components, .. } => {
                self.history.clear();
                let listed: HashSet<_> = components.iter().map(ComponentId::as_str).collect();
                self.probes.retain(|name, _| listed.contains(name.as_str()));
                self.event(at, "boot_sequence", "start");
            }
            Fact::BootCompleted { ready, absent, .. } => {
                self.event(at, "boot_sequence", "complete").success_rate =
                    Some(runs::rate(ready.len(), ready.len() + absent.len()));
            }
            Fact::BootHalted { component, reason, .. } => {
                let event = self.event(at, "boot_sequence", "fail");
                event.component = Some(component.to_string());
                event.error = Some(reason.clone());
            }
            Fact::ShutdownStarted { .. } => drop(self.event(at, "shutdown", "start")),
            Fact::BootEnded { .. } => drop(self.event(at, "shutdown", "complete")),
            Fact::EffectStarted { id } => {
                if let Some(component) = before.launched(*id) {
                    self.event(at, "launch", "start").component = Some(component.to_string());
                }
            }
            Fact::Ready { component, .. } => {
                let name = component.to_string();
                self.event(at, "launch", "success").component = Some(name.clone());
                self.probes.insert(name.clone(), Probe { status: "ok", timestamp: moment::epoch(at) });
                self.history.retain(|known| *known != name);
                self.history.push_back(name.clone());
                if self.history.len() > EVENTS {
                    self.history.pop_front();
                }
                self.last_component = name;
            }
            Fact::HealthChanged { component, healthy, summary, .. } => {
                let status = if *healthy { "ok" } else { "fail" };
                let event = self.event(at, "probe", status);
                event.component = Some(component.to_string());
                event.error = (!healthy).then(|| summary.clone());
                self.probes.insert(component.to_string(), Probe { status, timestamp: moment::epoch(at) });
            }
            Fact::Failed { component, failure, .. } => {
                let step = match failure.kind {
                    FailureKind::NotStarted | FailureKind::Unstartable | FailureKind::StartupDeadline => {
                        "launch"
                    }
                    FailureKind::Exited if before.component(component).launching => "launch",
                    FailureKind::Exited => "exit",
                    FailureKind::Liveness => "liveness",
                    FailureKind::Canary => "canary",
                    FailureKind::Operator | FailureKind::Misbehaved => "quarantine",
                };
                let event = self.event(at, step, "fail");
                event.component = Some(component.to_string());
                event.error = Some(failure.error.clone());
                if matches!(failure.kind, FailureKind::StartupDeadline | FailureKind::Liveness) {
                    let probe = Probe { status: "fail", timestamp: moment::epoch(at) };
                    self.probes.insert(component.to_string(), probe);
                }
            }
            Fact::Adopted { component, .. } => self.about(at, "adopt", "success", component.as_str()),
            Fact::Quarantined { component, .. } => self.about(at, "quarantine", "start", component.as_str()),
            Fact::Released { component, .. } => self.about(at, "quarantine", "released", component.as_str()),
            Fact::Reinstated { component } => self.about(at, "quarantine", "complete", component.as_str()),
            _ => {}
        }
    }

    /// The file, true as of `head`.
    pub(super) fn render(&self, stack: &Stack, head: Head) -> String {
        let offline = || Handshake { acknowledgement: "", capabilities: [], downtime: BTreeMap::new() };
        escape::json_file(&File {
            last_component: &self.last_component,
            history: &self.history,
            capabilities: [],
            downtime: BTreeMap::new(),
            launched_models: [],
            handshake: offline(),
            glm4v_present: false,
            events: &self.events,
            probes: &self.probes,
            mission: stack.boot.as_ref().and_then(|boot| boot.mission.as_deref()),
            last_boot: stack.boot.as_ref().map(|boot| moment::zulu(boot.started)),
            components: stack
                .order
                .iter()
                .map(|id| Component { id: id.as_str(), state: stack.component(id).condition.as_str() })
                .collect(),
            quarantine: stack
                .order
                .iter()
                .filter(|id| stack.is_quarantined(id))
                .map(|id| id.as_str())
                .collect(),
            ledger: Anchor { seq: head.seq, hash: head.hex() },
        })
    }

    fn about(&mut self, at: Timestamp, step: &'static str, status: &'static str, component: &str) {
        self.event(at, step, status).component = Some(component.to_owned());
    }

    fn event(&mut self, at: Timestamp, step: &'static str, status: &'static str) -> &mut Event {
        if self.events.len() >= EVENTS {
            self.events.pop_front();
        }
        let timestamp = moment::epoch(at);
        self.events.push_back_mut(Event {
            step,
            status,
            timestamp,
            component: None,
            error: None,
            success_rate: None,
        })
    }
}
