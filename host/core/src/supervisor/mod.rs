//! The one function that decides. It performs nothing, reads no clock and draws no randomness of its own.
//!
//! ```text
//!              start decided            runs                 ready
//!   Down ────────────────► Launching ────────► Up ───────────────────► Up (ready)
//!    ▲                         │ not started    │ exit, deadline,        │ exit, liveness,
//!    │                         ▼                ▼ stop decided           ▼ stop decided
//!    ├──── judged ◄──────── (Down) ◄──────── Stopping ◄──────────────────┘
//!    │  backing off: launched again when the time has come
//!    └─ quarantined: never launched again until released; on probation after that
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `durable` | the fold over facts |
//! | `agents` | what an operator is told about the agents of a roster |
//! | `custody` | quarantine, for components and plugins |
//! | `conduct` | what a plugin's misbehavior leads to |
//! | `volatile` | what is rebuilt at every start: detectors, timers, counts |
//! | `input` | everything that can happen |
//! | `mend` | what an incident needs next: a question, a patch applied, a patch taken back |
//! | `react` | what each input means for one component |
//! | `roster` | the roster file: its copy, who is active in it, and what it was before |
//! | `order` | who may start and who may stop, in which order |
//! | `status` | what an operator is told |

mod agents;
mod conduct;
mod custody;
mod durable;
mod input;
mod mend;
mod order;
mod react;
mod roster;
mod status;
mod volatile;

use std::sync::Arc;

use crate::backoff::Jitter;
use crate::effect::{Authorized, Decided, Effect, Process, Start, Stop};
use crate::fact::{Fact, Phase, Recorded};
use crate::id::{BootId, ComponentId, EffectId, InstanceId};
use crate::incident::Incident;
use crate::plan::{BootPlan, ComponentPlan, ProbePlan};
use crate::time::Timestamp;

pub use agents::{AgentOrder, AgentStanding, AgentStatus};
pub use conduct::PluginOut;
pub use custody::{Custody, Quarantine};
pub use durable::{BackOff, Boot, Component, Durable, Life, Plugin, Stage, Unjudged};
pub use input::{BootRequest, Command, Found, FoundState, Input, Refused, Settings};
pub use status::{Status, Summary};

use volatile::Volatile;

/// Everything the decisions rest on.
#[derive(Debug)]
pub struct State {
    pub(crate) durable: Durable,
    pub(crate) volatile: Volatile,
    /// By place in `durable.components`; none for a component the configuration no longer names.
    pub(crate) plans: Vec<Option<Arc<ComponentPlan>>>,
    pub(crate) layers: u32,
    pub(crate) settings: Settings,
    /// An earlier host left somebody active in the roster who is not to stay so: who was before.
    pub(crate) before: Option<Option<String>>,
}

/// What one turn decided.
#[derive(Debug, Default)]
#[must_use = "facts that are not recorded and effects that are not performed are lost"]
pub struct Decision {
    /// To be committed, in this order, before any effect begins.
    pub facts: Vec<Fact>,
    /// To be performed once the facts are committed.
    pub effects: Vec<Decided>,
    /// Components whose [`State::watches`] may have changed.
    pub touched: Vec<ComponentId>,
    /// Why a command was not accepted; it changed nothing.
    pub refused: Option<Refused>,
}

/// Takes one input in and says what follows from it.
pub fn step(state: &mut State, now: Timestamp, input: Input) -> Decision {
    let mut turn = Turn { state, now, decision: Decision::default() };
    turn.take(input);
    turn.advance();
    turn.decision
}

/// One question the host should keep asking about one process.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a> {
    /// Which process.
    pub instance: InstanceId,
    /// Its pid and start time.
    pub process: Process,
    /// Which question.
    pub phase: Phase,
    /// What to ask, and how often.
    pub probe: &'a ProbePlan,
}

impl State {
    /// A state that remembers nothing.
    pub fn new(plan: &BootPlan, settings: Settings) -> Self {
        Self::replay(plan, settings, [])
    }

    /// The state that these facts make.
    pub fn replay(plan: &BootPlan, settings: Settings, facts: impl IntoIterator<Item = Recorded>) -> Self {
        let mut durable = Durable::default();
        for component in &plan.components {
            durable.place(&component.id);
        }
        for recorded in facts {
            durable.apply(recorded.at, &recorded.fact);
        }
        let mut plans = vec![None; durable.components.len()];
        for component in &plan.components {
            if let Some(slot) = durable.index.get(&component.id).and_then(|at| plans.get_mut(*at)) {
                *slot = Some(Arc::new(component.clone()));
            }
        }
        let layers = plan.components.iter().map(|c| c.layer + 1).max().unwrap_or(0);
        let jitter = Jitter::new(settings.seed);
        let before = durable.roster.is_unsettled().then(|| durable.roster.before.clone());
        let mut state = Self { durable, volatile: Volatile::new(jitter), plans, layers, settings, before };
        state.rebuild();
        state
    }

    /// The fold over facts.
    pub const fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Whether an effect is decided and not finished: what waited for the disk must not be performed when the world has
    /// made it void meanwhile.
    pub fn is_open(&self, id: EffectId) -> bool {
        self.durable.open_effects.contains_key(&id)
    }

    /// The plan of a component, unless the configuration no longer names it.
    pub fn plan(&self, id: &ComponentId) -> Option<&Arc<ComponentPlan>> {
        self.plans.get(*self.durable.index.get(id)?)?.as_ref()
    }

    /// The failure of a component that somebody is asked about.
    pub fn incident(&self, id: &ComponentId) -> Option<&Incident> {
        self.durable.components.get(*self.durable.index.get(id)?)?.incident.as_ref()
    }

    /// When [`Input::Tick`] is due next.
    pub fn next_wake(&mut self) -> Option<Timestamp> {
        self.volatile.next_wake()
    }

    /// The questions to ask about a component now: none, startup, or readiness and liveness. A quarantined plugin is
    /// asked nothing.
    pub fn watches(&self, id: &ComponentId) -> Vec<Watch<'_>> {
        let mut watches = self.wanted_watches(id);
        watches.retain(|watch| self.plugin_out(watch.probe).is_none());
        watches
    }

    fn wanted_watches(&self, id: &ComponentId) -> Vec<Watch<'_>> {
        let Some(at) = self.durable.index.get(id).copied() else { return Vec::new() };
        let (Some(component), Some(Some(plan))) = (self.durable.components.get(at), self.plans.get(at))
        else {
            return Vec::new();
        };
        let Life::Up { instance, process, ready, .. } = component.life else { return Vec::new() };
        let watch = |phase, probe| Watch { instance, process, phase, probe };
        let readiness = plan.probes.readiness.as_ref().map(|probe| watch(Phase::Readiness, probe));
        if ready.is_some() {
            let liveness = plan.probes.liveness.as_ref().map(|probe| watch(Phase::Liveness, probe));
            return readiness.into_iter().chain(liveness).collect();
        }
        if self.volatile.at(at).is_some_and(|v| v.started) {
            return readiness.into_iter().collect();
        }
        vec![watch(Phase::Startup, &plan.probes.startup)]
    }
}

/// One turn in the making.
struct Turn<'a> {
    state: &'a mut State,
    now: Timestamp,
    decision: Decision,
}

impl Turn<'_> {
    /// The only way a fact comes into being: applied and recorded in one move.
    fn record(&mut self, fact: Fact) {
        self.state.durable.apply(self.now, &fact);
        self.decision.facts.push(fact);
    }

    /// Decides a start: the only place where permission to start is made.
    fn decide_start(&mut self, at: usize) {
        let (Some(component), Some(Some(plan))) =
            (self.state.durable.components.get(at), self.state.plans.get(at))
        else {
            return;
        };
        let start = Start {
            component: plan.id.clone(),
            instance: InstanceId(self.state.durable.last_instance + 1),
            spec: plan.spec,
            attempt: component.failures + 1,
        };
        let id = self.next_effect();
        self.record(Fact::EffectDecided { id, effect: Effect::Start(start.clone()) });
        self.decision.effects.push(Decided::Start(Authorized::new(id, start)));
        self.touch(at);
    }

    /// Decides a stop: the only place where permission to stop is made.
    fn decide_stop(&mut self, at: usize) {
        let Some(component) = self.state.durable.components.get(at) else { return };
        let Life::Up { instance, .. } = component.life else { return };
        let stop = Stop { component: component.id.clone(), instance };
        let id = self.next_effect();
        self.record(Fact::EffectDecided { id, effect: Effect::Stop(stop.clone()) });
        self.decision.effects.push(Decided::Stop(Authorized::new(id, stop)));
        self.touch(at);
    }

    const fn next_effect(&self) -> EffectId {
        EffectId(self.state.durable.last_effect + 1)
    }

    fn next_boot(&self) -> BootId {
        BootId(self.state.durable.boot.as_ref().map_or(0, |boot| boot.id.0) + 1)
    }

    fn stage(&self) -> Option<Stage> {
        self.state.durable.boot.as_ref().map(|boot| boot.stage)
    }

    fn component(&self, at: usize) -> Option<&Component> {
        self.state.durable.components.get(at)
    }
}
