//! The part of the state that is a fold over facts: [`Durable::apply`] is the only function that changes it, so a
//! replay of the ledger gives exactly what the host had. It must never read the plan or anything volatile.

mod credit;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::custody::{Custody, Quarantine};
use super::roster::RosterFile;
use crate::effect::{Effect, EffectOutcome, Process};
use crate::fact::{Closing, Fact, Phase};
use crate::failure::{Failure, FailureClass, FailureKind};
use crate::id::{BootId, ComponentId, Digest, EffectId, IncidentId, InstanceId, PluginId};
use crate::incident::{self, Incident, Purpose, Spent};
use crate::ladder::{Maker, Record};
use crate::memory::Memory;
use crate::time::{Millis, Timestamp};

/// Everything facts say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durable {
    /// The newest boot.
    pub boot: Option<Boot>,
    /// Every component that any fact has named, or the plan.
    pub(crate) components: Vec<Component>,
    pub(crate) index: HashMap<ComponentId, usize>,
    /// Every plugin that any fact has named.
    pub(crate) plugins: BTreeMap<PluginId, Plugin>,
    /// Decided and not finished.
    pub(crate) open_effects: BTreeMap<EffectId, Effect>,
    pub(crate) last_effect: u64,
    pub(crate) last_instance: u64,
    pub(crate) last_incident: u64,
    /// What is known of each agent that was asked.
    pub(crate) agents: BTreeMap<PluginId, Record>,
    /// Since when this host, or the one before it, runs.
    pub(crate) started: Timestamp,
    /// What was done with the roster file.
    pub(crate) roster: RosterFile,
    /// Recordings of calls that may still be kept, oldest first.
    pub(crate) calls: VecDeque<(IncidentId, Digest)>,
}

/// Recordings that are kept, the newest; and that are thought of, so that each is forgotten before nobody knows of it any more.
const RECORDINGS: usize = 500;
const KNOWN: usize = 2 * RECORDINGS;

/// Incidents whose recorded calls are kept, the newest.
const RECORDED: usize = 250;

impl Durable {
    /// What names recordings that so many others came after that they are not kept.
    pub fn old_calls(&self) -> impl Iterator<Item = Digest> + '_ {
        self.known_calls().filter_map(|(calls, is_old)| is_old.then_some(calls))
    }

    /// What names recordings that are kept as long as there is room, oldest first.
    pub fn kept_calls(&self) -> impl Iterator<Item = Digest> + '_ {
        self.known_calls().filter_map(|(calls, is_old)| (!is_old).then_some(calls))
    }

    fn known_calls(&self) -> impl Iterator<Item = (Digest, bool)> + '_ {
        let incidents: BTreeSet<IncidentId> = self.calls.iter().map(|(incident, _)| *incident).collect();
        let oldest = incidents.iter().rev().nth(RECORDED - 1).copied();
        let newer = self.calls.len().saturating_sub(RECORDINGS);
        self.calls.iter().enumerate().map(move |(at, (incident, calls))| {
            (*calls, at < newer || oldest.is_some_and(|oldest| *incident < oldest))
        })
    }
}

/// Patches of one component that can be taken back, the newest.
const PATCHES: usize = 20;

/// Versions of one component that can be gone back to, the newest.
const VERSIONS: usize = 10;

/// One boot.
#[derive(Debug, Clone, PartialEq)]
pub struct Boot {
    /// Its number.
    pub id: BootId,
    /// When it began.
    pub since: Timestamp,
    /// Its mission.
    pub mission: Option<String>,
    /// How far it is.
    pub stage: Stage,
    /// How long it took until every component was settled.
    pub took: Option<Millis>,
}

/// How far a boot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Components are still being started for the first time.
    Booting,
    /// Every component is settled.
    Up,
    /// A vital component failed; everything is being stopped.
    Halting,
    /// Somebody asked; everything is being stopped.
    Stopping,
    /// Everything has stopped.
    Ended,
}

impl Stage {
    /// Components may be launched.
    pub const fn launches(self) -> bool {
        matches!(self, Self::Booting | Self::Up)
    }

    /// Everything is being stopped.
    pub const fn stops(self) -> bool {
        matches!(self, Self::Halting | Self::Stopping)
    }
}

/// A time in which a component is not launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackOff {
    /// When it began.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

impl BackOff {
    /// Whether it is to be waited for. One that has not even begun was recorded before the machine's clock was set back:
    /// nobody waits for a clock to come round again.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// What facts say about one component.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// Its name.
    pub id: ComponentId,
    /// Its process.
    pub life: Life,
    /// An operator wants it down.
    pub stopped: bool,
    /// Whether it may be launched at all.
    pub custody: Custody,
    /// Not launched before its end.
    pub backing_off: Option<BackOff>,
    /// Failed, and nothing decided about it yet.
    pub unjudged: Option<Unjudged>,
    /// Failures of this incident, forgiven ones taken off.
    pub failures: u32,
    /// The newest failure.
    pub last_failure: Option<Failure>,
    /// Its health changes too often to be acted on.
    pub flapping: bool,
    /// Its readiness probe has failed since it was ready.
    pub unready: bool,
    /// Launches in this boot.
    pub launches: u32,
    /// What the newest process was started from.
    pub spec: Option<Digest>,
    /// The failure that somebody is asked about.
    pub incident: Option<Incident>,
    /// Patches that are in its files, the newest last.
    pub patches: Vec<(IncidentId, Digest)>,
    /// What has repaired its failures.
    pub memory: Memory,
    /// Its files while it was well, and when that was, the newest last.
    pub versions: Vec<(Timestamp, Digest)>,
    /// Whose patches are in its files, as far as agents made them.
    pub(crate) makers: Vec<Maker>,
}

/// A failure waiting for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    /// What happened.
    pub failure: Failure,
    /// It had been ready.
    pub was_ready: bool,
}

/// What facts say about one plugin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plugin {
    /// Whether it may be called at all.
    pub custody: Custody,
    /// When it was last let out.
    pub released: Option<Timestamp>,
}

/// A component's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// There is none.
    Down,
    /// It is being started.
    Launching {
        /// The start's number.
        effect: EffectId,
        /// The process' number.
        instance: InstanceId,
    },
    /// It runs.
    Up {
        /// Its number.
        instance: InstanceId,
        /// Its pid and start time.
        process: Process,
        /// Since when it runs.
        since: Timestamp,
        /// Since when it has been ready.
        ready: Option<Timestamp>,
    },
    /// It is being ended.
    Stopping {
        /// The stop's number.
        effect: EffectId,
        /// The process' number.
        instance: InstanceId,
    },
}

impl Life {
    /// The process' number, if there is one.
    pub const fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::Down => None,
            Self::Launching { instance, .. }
            | Self::Up { instance, .. }
            | Self::Stopping { instance, .. } => Some(*instance),
        }
    }

    /// Since when it has been ready.
    pub const fn ready_since(&self) -> Option<Timestamp> {
        match self {
            Self::Up { ready, .. } => *ready,
            _ => None,
        }
    }
}

impl Component {
    pub(crate) fn new(id: ComponentId) -> Self {
        Self {
            id,
            life: Life::Down,
            stopped: false,
            custody: Custody::default(),
            backing_off: None,
            unjudged: None,
            failures: 0,
            last_failure: None,
            flapping: false,
            unready: false,
            launches: 0,
            spec: None,
            incident: None,
            patches: Vec::new(),
            memory: Memory::default(),
            versions: Vec::new(),
            makers: Vec::new(),
        }
    }

    /// Nothing launches it until an operator says so.
    pub const fn is_out(&self) -> bool {
        self.stopped || self.custody.is_out()
    }

    /// It is not launched now: it is out, or its files are to be changed, or somebody is asked how.
    pub const fn is_kept_down(&self) -> bool {
        let mended = match &self.incident {
            Some(incident) => incident.keeps_down(),
            None => false,
        };
        self.is_out() || mended
    }

    /// Others may depend on it.
    pub const fn is_available(&self) -> bool {
        self.life.ready_since().is_some() && !self.unready
    }

    fn begin_boot(&mut self) {
        *self = Self {
            custody: std::mem::take(&mut self.custody),
            life: self.life,
            spec: self.spec,
            incident: self.incident.take(),
            patches: std::mem::take(&mut self.patches),
            memory: std::mem::take(&mut self.memory),
            versions: std::mem::take(&mut self.versions),
            makers: std::mem::take(&mut self.makers),
            ..Self::new(self.id.clone())
        };
    }
}

impl Durable {
    pub(crate) fn place(&mut self, id: &ComponentId) -> usize {
        if let Some(at) = self.index.get(id) {
            return *at;
        }
        let at = self.components.len();
        self.components.push(Component::new(id.clone()));
        self.index.insert(id.clone(), at);
        at
    }

    fn change(&mut self, id: &ComponentId, change: impl FnOnce(&mut Component)) {
        let at = self.place(id);
        if let Some(component) = self.components.get_mut(at) {
            change(component);
        }
    }

    fn stage(&mut self, stage: Stage) {
        if let Some(boot) = &mut self.boot {
            boot.stage = stage;
        }
    }

    /// Takes one fact in.
    pub fn apply(&mut self, at: Timestamp, fact: &Fact) {
        match fact {
            Fact::BootStarted { boot, mission, components, .. } => {
                let (mission, stage) = (mission.clone(), Stage::Booting);
                self.boot = Some(Boot { id: *boot, since: at, mission, stage, took: None });
                self.started = at;
                self.roster.begin();
                self.components.iter_mut().for_each(Component::begin_boot);
                for id in components {
                    self.place(id);
                }
            }
            Fact::BootResumed { .. } => {
                self.started = at;
                self.roster.begin();
            }
            Fact::BootCompleted { took, .. } => {
                self.stage(Stage::Up);
                if let Some(boot) = &mut self.boot {
                    boot.took = Some(*took);
                }
            }
            Fact::BootHalted { .. } => self.stage(Stage::Halting),
            Fact::ShutdownStarted { .. } => self.stage(Stage::Stopping),
            Fact::BootEnded { .. } => self.stage(Stage::Ended),
            Fact::EffectDecided { id, effect } => self.decided(*id, effect),
            Fact::EffectStarted { .. } => {}
            Fact::EffectFinished { id, outcome } => self.finished(at, *id, outcome),
            Fact::EffectUnknown { id } => {
                if let Some(effect) = self.open_effects.remove(id) {
                    self.change(effect.component(), |c| c.unknown(at, *id, &effect));
                }
            }
            Fact::Adopted { component, instance, process } => {
                self.last_instance = self.last_instance.max(instance.0);
                self.change(component, |c| c.adopt(at, *instance, *process));
            }
            Fact::Exited { component, .. } => self.change(component, |c| c.life = Life::Down),
            Fact::Ready { component, .. } => self.change(component, |c| {
                c.unready = false;
                if let Life::Up { ready, .. } = &mut c.life {
                    *ready = Some(at);
                }
            }),
            Fact::HealthChanged { component, phase: Phase::Readiness, healthy, .. } => {
                self.change(component, |c| c.unready = !healthy);
            }
            Fact::HealthChanged { .. } => {}
            Fact::FlappingStarted { component, .. } => self.change(component, |c| c.flapping = true),
            Fact::FlappingEnded { component } => self.change(component, |c| c.flapping = false),
            Fact::Failed { component, attempt, failure, .. } => self.change(component, |c| {
                // Recorded before the fact that ends the process: what was ready still shows.
                let was_ready = c.life.ready_since().is_some();
                c.failures = *attempt;
                c.last_failure = Some(failure.clone());
                c.unjudged = Some(Unjudged { failure: failure.clone(), was_ready });
                if let Some(incident) = &mut c.incident
                    && let incident::Stage::Canary(manifest) = incident.stage
                {
                    incident.stage = incident::Stage::Failed(manifest);
                    incident.later(manifest, &format!("did not hold: {}", failure.error));
                }
            }),
            Fact::IncidentOpened { incident, component, failure, diff, .. } => {
                self.last_incident = self.last_incident.max(incident.0);
                let purpose = diff.map_or(Purpose::Repair, Purpose::Patch);
                let mut opened = Incident::new(*incident, at, failure.clone(), purpose);
                let scores = self
                    .agents
                    .iter()
                    .filter_map(|(agent, record)| Some((agent.clone(), *record.scores.get(&failure.class)?)));
                opened.scores.extend(scores);
                self.change(component, |c| {
                    opened.versions.clone_from(&c.versions);
                    if purpose == Purpose::Repair {
                        c.unjudged = None;
                        c.backing_off = None;
                    }
                    c.incident = Some(opened);
                });
            }
            Fact::RollbackRequested { incident, component, manifest } => {
                self.last_incident = self.last_incident.max(incident.0);
                self.change(component, |c| c.roll_back(at, *incident, *manifest));
            }
            Fact::IncidentClosed { incident, component, outcome } => {
                if let Closing::Repaired { manifest } = outcome {
                    self.credit(component, *incident, *manifest);
                }
                self.roster.closed(component, matches!(outcome, Closing::Repaired { .. }));
                self.change(component, |c| {
                    if let (Some(incident), Closing::Repaired { manifest }) = (c.incident.take(), outcome)
                        && incident.failure.kind != FailureKind::Operator
                    {
                        c.memory.remember(&incident.failure, *manifest);
                    }
                    if matches!(outcome, Closing::Repaired { .. } | Closing::RolledBack) {
                        c.forgive();
                    }
                });
            }
            Fact::BackingOff { component, until, .. } => self.change(component, |c| {
                c.unjudged = None;
                c.backing_off = Some(BackOff { from: at, until: *until });
            }),
            Fact::Quarantined { component, reason, failure, attempts } => self.change(component, |c| {
                c.unjudged = None;
                c.backing_off = None;
                let (reason, failure, attempts) = (*reason, failure.clone(), *attempts);
                c.custody.take(Quarantine { reason, failure, since: at, attempts });
            }),
            Fact::Released { component, .. } => self.change(component, |c| {
                // A launch that was under way when it was taken out may have failed since.
                c.want();
                c.custody.release();
            }),
            Fact::Reinstated { component } => self.change(component, |c| c.custody.reinstate()),
            Fact::PluginQuarantined { plugin, reason, failure, attempts } => {
                let (reason, failure, attempts) = (*reason, failure.clone(), *attempts);
                let plugin = self.plugins.entry(plugin.clone()).or_default();
                plugin.custody.take(Quarantine { reason, failure, since: at, attempts });
            }
            Fact::PluginReleased { plugin, .. } => {
                let plugin = self.plugins.entry(plugin.clone()).or_default();
                plugin.custody.release();
                plugin.released = Some(at);
            }
            Fact::PluginReinstated { plugin } => {
                self.plugins.entry(plugin.clone()).or_default().custody.reinstate();
            }
            Fact::VersionKept { component, version } => self.change(component, |c| {
                c.versions.retain(|(_, known)| known != version);
                if c.versions.len() == VERSIONS {
                    c.versions.remove(0);
                }
                c.versions.push((at, *version));
            }),
            Fact::Stopped { .. } | Fact::Imported { .. } => {}
            Fact::CallsRecorded { incident, calls, .. } => {
                if self.calls.len() == KNOWN {
                    self.calls.pop_front();
                }
                self.calls.push_back((*incident, *calls));
            }
            Fact::Escalated { component, to, escalations, .. } => {
                self.climb(component, |incident| incident.escalate(to, *escalations));
            }
            Fact::EscalationWarned { component, .. } => {
                self.climb(component, |incident| incident.warned = true);
            }
            Fact::RungSkipped { component, agent, .. } => {
                self.climb(component, |incident| incident.skipped.push(agent.clone()));
            }
            Fact::RoundBegan { component, round, until, .. } => {
                let begins = BackOff { from: at, until: *until };
                self.climb(component, |incident| incident.begin_round(*round, begins));
            }
            Fact::EscalationRequested { component, agent, .. } => {
                self.climb(component, |incident| incident.want(agent));
            }
            Fact::StartRequested { component } => self.change(component, Component::want),
            Fact::RestartRequested { component } => self.change(component, Component::want),
            Fact::StopRequested { component } => self.change(component, |c| {
                c.stopped = true;
                c.backing_off = None;
                c.unjudged = None;
            }),
        }
    }

    fn decided(&mut self, id: EffectId, effect: &Effect) {
        self.last_effect = self.last_effect.max(id.0);
        if let Some(instance) = effect.instance() {
            self.last_instance = self.last_instance.max(instance.0);
        }
        self.open_effects.insert(id, effect.clone());
        self.change(effect.component(), |c| match effect {
            Effect::Start(start) => {
                c.backing_off = None;
                c.launches = c.launches.saturating_add(1);
                c.spec = Some(start.spec);
                c.life = Life::Launching { effect: id, instance: start.instance };
            }
            Effect::Stop(stop) => c.life = Life::Stopping { effect: id, instance: stop.instance },
            Effect::Attempt(attempt) => {
                if let Some(incident) = &mut c.incident {
                    incident.begin(id, attempt);
                }
            }
            Effect::Apply(apply) => c.mended(incident::Stage::Applying(id, apply.manifest)),
            Effect::Revert(revert) => c.mended(incident::Stage::Reverting(id, revert.manifest)),
            Effect::Roster(_) => {}
        });
        if let Effect::Roster(roster) = effect {
            self.roster.decided(roster);
        }
    }

    fn climb(&mut self, component: &ComponentId, change: impl FnOnce(&mut Incident)) {
        self.change(component, |c| {
            if let Some(incident) = &mut c.incident {
                change(incident);
            }
        });
    }

    fn finished(&mut self, at: Timestamp, id: EffectId, outcome: &EffectOutcome) {
        let Some(effect) = self.open_effects.remove(&id) else { return };
        match (&effect, outcome) {
            (Effect::Roster(roster), _) => {
                let boot = self.boot.as_ref().map(|boot| boot.id);
                return self.roster.finished(boot, roster, outcome);
            }
            (Effect::Attempt(attempt), EffectOutcome::Attempted { end, .. }) => {
                self.attempted(at, attempt, end);
            }
            (Effect::Apply(apply), EffectOutcome::Changed) => self.applied(apply),
            (Effect::Revert(revert), EffectOutcome::Changed) => self.reverted(revert),
            _ => {}
        }
        self.change(effect.component(), |c| match outcome {
            EffectOutcome::Running(process) => {
                let Some(instance) = effect.instance() else { return };
                c.flapping = false;
                c.unready = false;
                c.life = Life::Up { instance, process: *process, since: at, ready: None };
            }
            EffectOutcome::NotStarted { .. } | EffectOutcome::Ended { .. } => c.life = Life::Down,
            EffectOutcome::Attempted { end, spent } => {
                if let Some(incident) = c.asking(id) {
                    incident.end(id, at, Some(end.clone()), spent);
                }
            }
            EffectOutcome::Saved { .. } => {}
            EffectOutcome::Changed => c.changed(&effect),
            EffectOutcome::NotChanged { error, partly } => c.not_changed(&effect, error, *partly),
        });
    }
}

impl Component {
    fn want(&mut self) {
        self.stopped = false;
        self.forgive();
    }

    fn forgive(&mut self) {
        self.failures = 0;
        self.backing_off = None;
        self.unjudged = None;
    }

    /// The incident, if this is a question that it waits for the answer of.
    fn asking(&mut self, id: EffectId) -> Option<&mut Incident> {
        self.incident.as_mut().filter(|incident| incident.asking.iter().any(|asking| asking.effect == id))
    }

    const fn mended(&mut self, stage: incident::Stage) {
        if let Some(incident) = &mut self.incident {
            incident.stage = stage;
        }
    }

    /// Its files are changed, or changed back.
    fn changed(&mut self, effect: &Effect) {
        match effect {
            Effect::Apply(apply) => {
                self.forgive();
                self.patched(apply.incident, apply.manifest);
                self.mended(incident::Stage::Canary(apply.manifest));
            }
            Effect::Revert(revert) => {
                self.patches.retain(|(_, manifest)| *manifest != revert.manifest);
                self.memory.forget(revert.manifest);
                self.unjudged = None;
                self.mended(incident::Stage::Open);
            }
            Effect::Start(_) | Effect::Stop(_) | Effect::Attempt(_) | Effect::Roster(_) => {}
        }
    }

    fn not_changed(&mut self, effect: &Effect, error: &str, partly: bool) {
        match (effect, &mut self.incident) {
            (Effect::Apply(apply), Some(incident)) => {
                incident.later(apply.manifest, &format!("was not applied: {error}"));
                incident.stage =
                    if partly { incident::Stage::Failed(apply.manifest) } else { incident::Stage::Open };
            }
            // Whatever is left of it can be taken back later.
            (Effect::Revert(revert), _) => self.patched(revert.incident, revert.manifest),
            _ => {}
        }
    }

    /// Its files may be those that a patch made.
    fn patched(&mut self, incident: IncidentId, manifest: Digest) {
        if self.patches.iter().any(|(_, known)| *known == manifest) {
            return;
        }
        if self.patches.len() == PATCHES {
            self.patches.remove(0);
        }
        self.patches.push((incident, manifest));
    }

    fn roll_back(&mut self, at: Timestamp, id: IncidentId, manifest: Digest) {
        let failure = Failure {
            kind: FailureKind::Operator,
            class: FailureClass::External,
            error: "an operator takes the patch back".to_owned(),
        };
        let incident = self.incident.get_or_insert_with(|| Incident::new(id, at, failure, Purpose::Rollback));
        incident.purpose = Purpose::Rollback;
        incident.stage = incident::Stage::Failed(manifest);
    }

    /// What a crash left open. What files are now is found out by doing it again, which looks first.
    fn unknown(&mut self, at: Timestamp, id: EffectId, effect: &Effect) {
        match effect {
            Effect::Start(_) | Effect::Stop(_) => self.life = Life::Down,
            Effect::Attempt(_) => {
                if let Some(incident) = self.asking(id) {
                    incident.end(id, at, None, &Spent::default());
                }
            }
            Effect::Apply(apply) => self.mended(incident::Stage::Interrupted(apply.manifest)),
            Effect::Revert(revert) => self.mended(incident::Stage::Failed(revert.manifest)),
            Effect::Roster(_) => {}
        }
    }

    fn adopt(&mut self, at: Timestamp, instance: InstanceId, process: Process) {
        let (since, ready) = match self.life {
            // It is the same process: a new host gives it no second startup deadline.
            Life::Up { instance: known, since, ready, .. } if known == instance => (since, ready),
            _ => (at, None),
        };
        self.life = Life::Up { instance, process, since, ready };
    }
}
