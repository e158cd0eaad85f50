//! Ten thousand components failing at random, as fast as the supervisor can decide. Deterministic from its seed;
//! holds nothing per step, so that hundreds of millions of steps fit.
#![allow(dead_code, reason = "each binary uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a broken test world ends the test")]

use std::collections::BTreeMap;

use razar_core::backoff::Jitter;
use razar_core::effect::{Decided, EffectOutcome, ExitStatus, Process};
use razar_core::fact::{Fact, Phase, Recorded};
use razar_core::id::{ComponentId, Digest, InstanceId};
use razar_core::patch::Rules;
use razar_core::plan::{
    BootPlan, Check, ComponentPlan, Confinement, ProbePlan, Probes, RestartPolicy, Schedule, StopPolicy,
};
use razar_core::supervisor::{BootRequest, Command, Decision, Input, Settings, State, Status, step};
use razar_core::time::{Millis, Timestamp};

/// What one run came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) steps: u64,
    pub(crate) facts: u64,
    pub(crate) launches: u64,
    pub(crate) quarantines: u64,
    /// Over all facts, in order: two runs that agree did the same.
    pub(crate) digest: u64,
}

pub(crate) fn plan(components: usize) -> BootPlan {
    let schedule = Schedule { deadline: Millis::seconds(30), ..Schedule::default() };
    let probe = ProbePlan { check: Check::Process, schedule };
    let name = |i: usize| -> ComponentId { format!("c{i}").parse().unwrap() };
    let component = |i: usize| ComponentPlan {
        id: name(i),
        layer: u32::try_from(i * 3 / components).unwrap(),
        command: vec!["run".to_owned()],
        env: BTreeMap::new(),
        workdir: "/".to_owned(),
        user: None,
        confine: Confinement::default(),
        spec: Digest::of(&i.to_le_bytes()),
        depends_on: if i % 7 == 3 { vec![name(i / 2)] } else { Vec::new() },
        vital: false,
        probes: Probes { startup: probe.clone(), readiness: None, liveness: Some(probe.clone()) },
        restart: RestartPolicy { forgive_after: Millis::seconds(120), ..RestartPolicy::default() },
        stop: StopPolicy::default(),
        patch: Rules::default(),
        repair: None,
    };
    BootPlan { components: (0..components).map(component).collect(), ..BootPlan::default() }
}

pub(crate) struct Fleet {
    pub(crate) plan: BootPlan,
    pub(crate) state: State,
    now: Timestamp,
    rng: Jitter,
    ids: Vec<ComponentId>,
    running: Vec<Option<InstanceId>>,
    pending: Vec<Decided>,
    quarantined: Vec<bool>,
    ready: Vec<bool>,
    outcome: Outcome,
    /// Kept only when a replay is wanted.
    pub(crate) log: Option<Vec<Recorded>>,
}

impl Fleet {
    pub(crate) fn new(components: usize, seed: u64) -> Self {
        let plan = plan(components);
        let state = State::new(&plan, Settings { seed, ..Settings::default() });
        let ids = plan.components.iter().map(|c| c.id.clone()).collect();
        let outcome = Outcome { steps: 0, facts: 0, launches: 0, quarantines: 0, digest: seed };
        Self {
            plan,
            state,
            now: Timestamp(1),
            rng: Jitter::new(seed),
            ids,
            running: vec![None; components],
            pending: Vec::new(),
            quarantined: vec![false; components],
            ready: vec![false; components],
            outcome,
            log: None,
        }
    }

    /// Random failures until so many steps were taken, then none until everything is settled.
    pub(crate) fn run(mut self, steps: u64) -> (Self, Outcome) {
        self.feed(Input::Boot(BootRequest::default()));
        while self.outcome.steps < steps {
            self.round(true);
        }
        for _ in 0..200 {
            self.round(false);
        }
        for summary in self.state.summaries() {
            let settled = matches!(summary.status, Status::Ready | Status::Quarantined | Status::Blocked);
            assert!(settled, "stuck: {summary:?}");
        }
        let outcome = Outcome { ..self.outcome };
        self.outcome = Outcome { steps: 0, facts: 0, launches: 0, quarantines: 0, digest: 0 };
        (self, outcome)
    }

    fn round(&mut self, trouble: bool) {
        self.now += Millis::seconds(1);
        if self.state.next_wake().is_some_and(|wake| wake <= self.now) {
            self.feed(Input::Tick);
        }
        self.perform();
        for at in 0..self.ids.len() {
            let Some(id) = self.ids.get(at).cloned() else { continue };
            let draw = self.rng.draw();
            let Some(instance) = self.running[at] else {
                if self.quarantined[at] && (!trouble || draw.is_multiple_of(500)) {
                    self.feed(Input::Command(Command::Release(id, None)));
                }
                continue;
            };
            if trouble && draw.is_multiple_of(400) {
                self.running[at] = None;
                let evidence = String::new();
                self.feed(Input::Exited { component: id, instance, exit: ExitStatus::Code(1), evidence });
                continue;
            }
            let phase = if self.ready[at] { Phase::Liveness } else { Phase::Startup };
            let healthy = !trouble || draw % 5 != 1;
            self.feed(Input::Probed { component: id, instance, phase, healthy, summary: String::new() });
        }
    }

    fn perform(&mut self) {
        while !self.pending.is_empty() {
            for decided in std::mem::take(&mut self.pending) {
                let draw = self.rng.draw();
                let (id, outcome) = match &decided {
                    Decided::Start(start) => {
                        let (at, instance) = (self.at(&start.effect().component), start.effect().instance);
                        assert!(!self.quarantined[at], "{} left quarantine", start.effect().component);
                        assert_eq!(self.running[at], None, "{} started twice", start.effect().component);
                        self.outcome.launches += 1;
                        self.ready[at] = false;
                        if draw.is_multiple_of(50) {
                            (
                                start.id(),
                                EffectOutcome::NotStarted { error: "no".to_owned(), permanent: false },
                            )
                        } else {
                            self.running[at] = Some(instance);
                            let process = Process { pid: 1, start_time: self.now.0 };
                            (start.id(), EffectOutcome::Running(process))
                        }
                    }
                    Decided::Stop(stop) => {
                        let at = self.at(&stop.effect().component);
                        self.running[at] = None;
                        (stop.id(), EffectOutcome::Ended { exit: ExitStatus::Signal(15) })
                    }
                    Decided::Attempt(_) | Decided::Apply(_) | Decided::Revert(_) | Decided::Roster(_) => {
                        unreachable!("nobody repairs anything in this fleet")
                    }
                };
                self.feed(Input::EffectStarted { id });
                self.feed(Input::EffectFinished { id, outcome });
            }
        }
    }

    fn at(&self, id: &ComponentId) -> usize {
        id.as_str()[1..].parse().unwrap()
    }

    fn feed(&mut self, input: Input) {
        self.outcome.steps += 1;
        let Decision { facts, effects, .. } = step(&mut self.state, self.now, input);
        for fact in facts {
            self.outcome.facts += 1;
            let word = match &fact {
                Fact::Quarantined { component, .. } => {
                    let at = self.at(component);
                    self.quarantined[at] = true;
                    self.outcome.quarantines += 1;
                    at as u64
                }
                Fact::Released { component, .. } => {
                    let at = self.at(component);
                    self.quarantined[at] = false;
                    at as u64 + 1
                }
                Fact::Ready { component, .. } => {
                    let at = self.at(component);
                    self.ready[at] = true;
                    at as u64 + 2
                }
                Fact::BackingOff { until, .. } => until.0,
                Fact::EffectDecided { id, .. } => id.0,
                _ => 7,
            };
            self.outcome.digest = Jitter::new(self.outcome.digest ^ word).draw();
            if let Some(log) = &mut self.log {
                log.push(Recorded { seq: self.outcome.facts, at: self.now, fact });
            }
        }
        self.pending.extend(effects);
    }
}
