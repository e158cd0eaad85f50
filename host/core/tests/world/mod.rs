//! A world for the supervisor: virtual time, scripted processes, effects performed as a host would. It holds what
//! every run must keep and checks it at each step.
#![allow(dead_code, reason = "each binary uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a broken test world ends the test")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use razar_core::effect::{Attempt, Decided, EffectOutcome, ExitStatus, Process, RosterChange};
use razar_core::fact::{Fact, Phase, Recorded};
use razar_core::id::{ComponentId, Digest, EffectId, InstanceId};
use razar_core::incident::{End, Spent};
use razar_core::patch::Rules;
use razar_core::plan::{
    BootPlan, Check, ComponentPlan, Confinement, Listener, ProbePlan, Probes, RestartPolicy, Schedule,
    StopPolicy,
};
use razar_core::supervisor::{
    BootRequest, Command, Found, FoundState, Input, Refused, Settings, State, Status, step,
};
use razar_core::time::{Millis, Timestamp};

/// The first moment of every world.
pub(crate) const BEGIN: u64 = 1_000_000;

pub(crate) fn id(name: &str) -> ComponentId {
    name.parse().unwrap()
}

/// A plan for one component with short times.
pub(crate) fn component(name: &str) -> ComponentPlan {
    let schedule = Schedule {
        interval: Millis(1_000),
        timeout: Millis(500),
        deadline: Millis(5_000),
        ..Schedule::default()
    };
    let probe = ProbePlan { check: Check::Process, schedule };
    ComponentPlan {
        id: id(name),
        layer: 0,
        command: vec![name.to_owned()],
        env: BTreeMap::new(),
        workdir: "/".to_owned(),
        user: None,
        confine: Confinement::default(),
        spec: Digest::of(name.as_bytes()),
        depends_on: Vec::new(),
        vital: false,
        probes: Probes { startup: probe.clone(), readiness: None, liveness: Some(probe) },
        restart: RestartPolicy::default(),
        stop: StopPolicy::default(),
        patch: Rules::default(),
        repair: None,
    }
}

/// The same, asked about by a plugin.
pub(crate) fn asked_by(plugin: &str, mut component: ComponentPlan) -> ComponentPlan {
    let check = Check::Plugin {
        plugin: plugin.parse().unwrap(),
        address: None,
        log: None,
        settings: "{}".to_owned(),
        listener: Listener::Any,
    };
    let probes = &mut component.probes;
    for probe in [Some(&mut probes.startup), probes.readiness.as_mut(), probes.liveness.as_mut()] {
        probe.into_iter().for_each(|probe| probe.check = check.clone());
    }
    component
}

pub(crate) fn plan(components: Vec<ComponentPlan>) -> BootPlan {
    BootPlan { mission: None, components, ..BootPlan::default() }
}

/// What one launch of one component does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub(crate) starts: bool,
    /// What does not start never will.
    pub(crate) permanent: bool,
    pub(crate) ready_after: u64,
    pub(crate) exits_after: Option<u64>,
    /// Answers unhealthy from then on.
    pub(crate) ill_after: Option<u64>,
    /// Answers alternate from then on, until the second moment.
    pub(crate) flaps: Option<(u64, u64)>,
    /// A plugin that is asked about it crashes from then on, until the second moment.
    pub(crate) chokes: Option<(u64, u64)>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            starts: true,
            permanent: false,
            ready_after: 0,
            exits_after: None,
            ill_after: None,
            flaps: None,
            chokes: None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Running {
    instance: InstanceId,
    process: Process,
    since: u64,
    script: Script,
    answers: u32,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Started(EffectId, ComponentId, InstanceId),
    Ended(EffectId, ComponentId, InstanceId),
    Exit(ComponentId, InstanceId),
    Probe(ComponentId, InstanceId, Phase),
    Answer(EffectId, Box<Answer>),
    Files(EffectId, ComponentId, Files),
    Roster(EffectId, Written),
    Tick,
}

/// What is asked for, and by how many so far; ordered only to lie in a queue.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    component: ComponentId,
    number: u32,
    who: String,
}

/// What becomes of a change to the roster file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Written {
    Stuck,
    Copied,
    Changed,
}

/// What a component's files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Files {
    Original,
    Patched(Digest),
    /// Some are changed and some are not: nothing may run of them.
    Mixed,
}

/// What became of a process while no host was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Runs,
    /// The launcher remembers how.
    Ended,
    /// Nobody saw it.
    Gone,
}

impl Fate {
    /// Some run, some do not.
    pub(crate) fn mixed(instance: InstanceId) -> Self {
        match instance.0 % 4 {
            0 => Self::Ended,
            1 => Self::Gone,
            _ => Self::Runs,
        }
    }
}

type Behave = Box<dyn Fn(&ComponentId, u32) -> Script>;
type Propose = Box<dyn Fn(&ComponentId, u32, &str) -> End>;
type Takes = Box<dyn Fn(u32) -> u64>;
type Mended = Box<dyn Fn(Digest) -> Script>;

pub(crate) struct World {
    pub(crate) plan: BootPlan,
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) log: Vec<Recorded>,
    processes: HashMap<ComponentId, Running>,
    launches: HashMap<ComponentId, u32>,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    counter: u64,
    watched: HashSet<(ComponentId, InstanceId, Phase)>,
    pub(crate) behave: Behave,
    /// What comes of each attempt, by its number and by who is asked.
    pub(crate) propose: Propose,
    /// How long each attempt takes, by its number.
    pub(crate) takes: Takes,
    /// What a launch does once files are patched.
    pub(crate) mended: Mended,
    pub(crate) files: HashMap<ComponentId, Files>,
    /// Files that cannot be changed.
    pub(crate) read_only: bool,
    /// Whoever applies a patch dies in the middle of it.
    pub(crate) breaks_off: bool,
    /// What every attempt reads.
    pub(crate) tokens: u64,
    /// The roster file cannot be changed, nor copied.
    pub(crate) roster_is_stuck: bool,
    /// What becomes of each process in a crash.
    pub(crate) fate: fn(InstanceId) -> Fate,
}

impl World {
    pub(crate) fn new(plan: BootPlan, behave: impl Fn(&ComponentId, u32) -> Script + 'static) -> Self {
        let state = State::new(&plan, Settings::default());
        Self {
            plan,
            state,
            now: Timestamp(BEGIN),
            log: Vec::new(),
            processes: HashMap::new(),
            launches: HashMap::new(),
            queue: BinaryHeap::new(),
            counter: 0,
            watched: HashSet::new(),
            behave: Box::new(behave),
            propose: Box::new(|_, _, _| End::Declined { why: "no idea".to_owned() }),
            takes: Box::new(|_| 300),
            mended: Box::new(|_| Script::default()),
            files: HashMap::new(),
            read_only: false,
            breaks_off: false,
            tokens: 0,
            roster_is_stuck: false,
            fate: |_| Fate::Runs,
        }
    }

    pub(crate) fn boot(&mut self) {
        self.feed(Input::Boot(BootRequest::default()));
    }

    pub(crate) fn command(&mut self, command: Command) -> Option<Refused> {
        self.feed(Input::Command(command))
    }

    /// The host dies here: nothing volatile survives, processes do, unless it is their fate. The next one looks at the world.
    pub(crate) fn crash_and_resume(&mut self) {
        self.queue.clear();
        self.watched.clear();
        let processes: Vec<_> = self.processes.iter().map(|(id, running)| (id.clone(), *running)).collect();
        let mut found = Vec::new();
        for (component, running) in processes {
            let instance = running.instance;
            let state = match (self.fate)(instance) {
                Fate::Runs => FoundState::Running(running.process),
                Fate::Ended => FoundState::Ended(ExitStatus::Signal(15)),
                Fate::Gone => {
                    self.processes.remove(&component);
                    continue;
                }
            };
            if let FoundState::Ended(_) = state {
                self.processes.remove(&component);
            } else if let Some(after) = running.script.exits_after {
                let at = (running.since + after).max(self.now.0 + 1);
                self.push(at, Event::Exit(component.clone(), instance));
            }
            found.push(Found { component, instance, state });
        }
        self.check_replay();
        self.state = State::replay(&self.plan, Settings::default(), self.log.clone());
        self.feed(Input::Found(found));
        self.feed(Input::Boot(BootRequest::default()));
        for component in self.plan.components.clone() {
            self.watch(&component.id);
        }
    }

    /// Facts alone give the same state.
    pub(crate) fn check_replay(&self) {
        let replayed = State::replay(&self.plan, Settings::default(), self.log.clone());
        assert_eq!(replayed.durable(), self.state.durable());
    }

    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.now.0 + millis;
        while self.turn(end) {}
        self.now = Timestamp(end);
        self.check_replay();
    }

    /// One event; false when there is none before `end`.
    pub(crate) fn turn(&mut self, end: u64) -> bool {
        if let Some(wake) = self.state.next_wake()
            && self.queue.peek().is_none_or(|Reverse((at, _, _))| *at > wake.0)
        {
            self.push(wake.0.max(self.now.0), Event::Tick);
        }
        let due = self.queue.peek().is_some_and(|Reverse((at, _, _))| *at <= end);
        if !due {
            return false;
        }
        let Reverse((at, _, event)) = self.queue.pop().unwrap();
        self.now = Timestamp(self.now.0.max(at));
        self.happen(event);
        true
    }

    fn push(&mut self, at: u64, event: Event) {
        self.counter += 1;
        self.queue.push(Reverse((at, self.counter, event)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick => {
                self.feed(Input::Tick);
            }
            Event::Started(effect, component, instance) => {
                let launch = self.launches.entry(component.clone()).or_default();
                *launch += 1;
                let launch = *launch;
                let script = match self.files.get(&component) {
                    Some(Files::Patched(patch)) => (self.mended)(*patch),
                    _ => (self.behave)(&component, launch),
                };
                let process = Process { pid: 100 + instance.0 as u32, start_time: self.now.0 };
                let outcome = if script.starts {
                    let running = Running { instance, process, since: self.now.0, script, answers: 0 };
                    let old = self.processes.insert(component.clone(), running);
                    assert!(old.is_none(), "{component} was started twice");
                    if let Some(after) = script.exits_after {
                        self.push(self.now.0 + after, Event::Exit(component.clone(), instance));
                    }
                    EffectOutcome::Running(process)
                } else {
                    let error = "no room for another process".to_owned();
                    EffectOutcome::NotStarted { error, permanent: script.permanent }
                };
                self.feed(Input::EffectFinished { id: effect, outcome });
            }
            Event::Ended(effect, component, instance) => {
                if self.processes.get(&component).is_some_and(|running| running.instance == instance) {
                    self.processes.remove(&component);
                }
                let outcome = EffectOutcome::Ended { exit: ExitStatus::Signal(15) };
                self.feed(Input::EffectFinished { id: effect, outcome });
            }
            Event::Exit(component, instance) => {
                if self.processes.get(&component).is_some_and(|running| running.instance == instance) {
                    self.processes.remove(&component);
                    let (exit, evidence) = (ExitStatus::Code(1), "KeyError: 'x'".to_owned());
                    self.feed(Input::Exited { component, instance, exit, evidence });
                }
            }
            Event::Probe(component, instance, phase) => self.probe(component, instance, phase),
            Event::Answer(id, asked) => {
                let end = (self.propose)(&asked.component, asked.number, &asked.who);
                self.feed(Input::EffectFinished {
                    id,
                    outcome: EffectOutcome::Attempted {
                        end,
                        spent: Spent { input_tokens: self.tokens, ..Spent::default() },
                    },
                });
            }
            Event::Roster(id, written) => {
                let outcome = match written {
                    Written::Stuck => {
                        EffectOutcome::NotChanged { error: "read-only file system".to_owned(), partly: false }
                    }
                    Written::Copied => EffectOutcome::Saved { copy: Digest::of(b"roster"), active: None },
                    Written::Changed => EffectOutcome::Changed,
                };
                self.feed(Input::EffectFinished { id, outcome });
            }
            Event::Files(id, component, files) if self.read_only => {
                let before = match files {
                    Files::Patched(_) => Files::Original,
                    _ => self.files[&component],
                };
                self.files.insert(component, before);
                let error = "app.py: read-only file system".to_owned();
                let outcome = EffectOutcome::NotChanged { error, partly: false };
                self.feed(Input::EffectFinished { id, outcome });
            }
            Event::Files(id, component, Files::Patched(_)) if self.breaks_off => {
                self.files.insert(component, Files::Mixed);
                let error = "was killed by signal 9".to_owned();
                let outcome = EffectOutcome::NotChanged { error, partly: true };
                self.feed(Input::EffectFinished { id, outcome });
            }
            Event::Files(id, component, files) => {
                self.files.insert(component, files);
                self.feed(Input::EffectFinished { id, outcome: EffectOutcome::Changed });
            }
        }
    }

    fn probe(&mut self, component: ComponentId, instance: InstanceId, phase: Phase) {
        let watches = self.state.watches(&component);
        let watch = watches.iter().find(|watch| watch.instance == instance && watch.phase == phase);
        let probe = watch.map(|watch| (watch.probe.schedule.interval, watch.probe.check.plugin().is_some()));
        let Some((interval, by_plugin)) = probe else {
            self.watched.remove(&(component, instance, phase));
            return;
        };
        let Some(running) = self.processes.get_mut(&component) else { return };
        let age = self.now.0.saturating_sub(running.since);
        running.answers += 1;
        let ill = running.script.ill_after.is_some_and(|after| age >= after);
        let flaps = running.script.flaps.is_some_and(|(from, to)| (from..to).contains(&age));
        let healthy = age >= running.script.ready_after && !ill && !(flaps && running.answers % 2 == 0);
        let chokes = running.script.chokes.is_some_and(|(from, to)| (from..to).contains(&age));
        self.push(self.now.0 + interval.0, Event::Probe(component.clone(), instance, phase));
        if by_plugin && chokes {
            let what = "probe: a trap".to_owned();
            self.feed(Input::Misbehaved { component, instance, phase, what });
            return;
        }
        let summary = if healthy { "ok" } else { "connection refused" }.to_owned();
        self.feed(Input::Probed { component, instance, phase, healthy, summary });
    }

    pub(crate) fn feed(&mut self, input: Input) -> Option<Refused> {
        let decision = step(&mut self.state, self.now, input);
        for fact in decision.facts {
            let seq = self.log.len() as u64 + 1;
            self.log.push(Recorded { seq, at: self.now, fact });
        }
        for decided in decision.effects {
            self.perform(decided);
        }
        for component in decision.touched {
            self.watch(&component);
        }
        decision.refused
    }

    fn perform(&mut self, decided: Decided) {
        match decided {
            Decided::Start(start) => {
                let (id, component) = (start.id(), start.effect().component.clone());
                assert_ne!(self.status(component.as_str()), Status::Quarantined, "{component}");
                assert_ne!(self.files.get(&component), Some(&Files::Mixed), "{component}");
                self.feed(Input::EffectStarted { id });
                self.push(self.now.0 + 5, Event::Started(id, component, start.effect().instance));
            }
            Decided::Stop(stop) => {
                let (id, component) = (stop.id(), stop.effect().component.clone());
                self.feed(Input::EffectStarted { id });
                self.push(self.now.0 + 20, Event::Ended(id, component, stop.effect().instance));
            }
            Decided::Attempt(attempt) => {
                let id = attempt.id();
                let Attempt { component, number, who, .. } = attempt.effect().clone();
                self.feed(Input::EffectStarted { id });
                let asked = Answer { component, number, who: who.to_string() };
                self.push(self.now.0 + (self.takes)(number), Event::Answer(id, Box::new(asked)));
            }
            Decided::Apply(apply) => {
                let (component, manifest) = (apply.effect().component.clone(), apply.effect().manifest);
                self.change_files(apply.id(), component, Files::Patched(manifest));
            }
            Decided::Roster(roster) => {
                let id = roster.id();
                self.feed(Input::EffectStarted { id });
                let written = match &roster.effect().change {
                    _ if self.roster_is_stuck => Written::Stuck,
                    RosterChange::Save => Written::Copied,
                    RosterChange::Activate(_) | RosterChange::Restore(_) => Written::Changed,
                };
                self.push(self.now.0 + 3, Event::Roster(id, written));
            }
            Decided::Revert(revert) => {
                self.change_files(revert.id(), revert.effect().component.clone(), Files::Original);
            }
        }
    }

    /// Begun at once, done a little later: a crash in between leaves them mixed.
    fn change_files(&mut self, id: EffectId, component: ComponentId, files: Files) {
        assert!(!self.processes.contains_key(&component), "{component} runs while its files are changed");
        self.feed(Input::EffectStarted { id });
        if !self.read_only {
            self.files.insert(component.clone(), Files::Mixed);
        }
        self.push(self.now.0 + 7, Event::Files(id, component, files));
    }

    fn watch(&mut self, component: &ComponentId) {
        let watches = self.state.watches(component);
        let watches: Vec<_> = watches.iter().map(|watch| (watch.instance, watch.phase)).collect();
        for (instance, phase) in watches {
            if self.watched.insert((component.clone(), instance, phase)) {
                self.push(self.now.0, Event::Probe(component.clone(), instance, phase));
            }
        }
    }

    pub(crate) fn status(&self, name: &str) -> Status {
        self.state.summary_of(&id(name)).unwrap().status
    }

    pub(crate) fn alive(&self) -> usize {
        self.processes.len()
    }

    pub(crate) fn launches(&self, name: &str) -> u32 {
        self.launches.get(&id(name)).copied().unwrap_or(0)
    }

    /// The names of the facts about a component, in order, without effects.
    pub(crate) fn story(&self, name: &str) -> Vec<String> {
        let about = self.log.iter().filter_map(|recorded| {
            let json = serde_json::to_value(&recorded.fact).unwrap();
            (json["component"] == name).then(|| json["fact"].as_str().unwrap().to_owned())
        });
        about.collect()
    }

    /// Components in the order in which a fact of this kind names them.
    pub(crate) fn order(&self, pick: impl Fn(&Fact) -> Option<&ComponentId>) -> Vec<String> {
        self.log.iter().filter_map(|recorded| pick(&recorded.fact)).map(ToString::to_string).collect()
    }
}
