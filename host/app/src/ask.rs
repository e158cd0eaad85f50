//! Keeps asking: one task per question about one process, ended as soon as core no longer wants the answer. It never
//! judges an answer; detectors do.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use razar_core::effect::{ExitStatus, Process};
use razar_core::fact::Phase;
use razar_core::grant::{CallScope, Role, Target};
use razar_core::id::{ComponentId, InstanceId, PluginId};
use razar_core::plan::{Check, Listener, LogSource, ProbePlan};
use razar_core::supervisor::Input;
use razar_runtime::contract::{Probe, ProbeCall, ProbeTarget};
use razar_runtime::outcome::Outcome;
use razar_runtime::tape::Tape;
use tokio::task::AbortHandle;

use crate::conduct::misbehavior;
use crate::drive::{Handle, Question, Watching};
use crate::evidence::output_file;
use crate::guest_log;
use crate::launcher::{CheckEnd, Launcher, record};
use crate::listener::Owner;
use crate::packages::Packages;
use crate::porter::{Porter, Seen};
use crate::record::calls::{Asked as AskedOf, Call};
use crate::record::rings::Rings;
use crate::record::take::whose;
use crate::serve::metrics::Metrics;

/// While a component starts it is asked this often at first, then ever more slowly: readiness is noticed within three
/// percent of the time it took.
const FIRST_WAIT: Duration = Duration::from_millis(5);

/// With many starting at once each waits longer: together they are asked no more often than this, which is a third of
/// a core, and the rest is theirs to start with.
const PACE: Duration = Duration::from_micros(250);

/// How many are starting. Counted as long as it lives, so also when its task is ended.
struct Starting(Arc<AtomicU32>);

impl Starting {
    fn new(all: &Arc<AtomicU32>) -> Self {
        all.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(all))
    }

    /// Until the next question to one that began so long ago.
    fn wait(&self, age: Duration, interval: Duration) -> Duration {
        let all = self.0.load(Ordering::Relaxed);
        (age / 40).max(FIRST_WAIT).max(PACE * all).min(interval)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whoever can answer questions.
#[derive(Clone)]
pub(crate) struct Asker {
    pub(crate) packages: Arc<Packages>,
    pub(crate) launcher: Launcher,
    pub(crate) porter: Arc<Porter>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) state: PathBuf,
    pub(crate) starting: Arc<AtomicU32>,
    /// Calls about components that are not well.
    pub(crate) rings: Rings,
}

/// One answer.
struct Answer {
    healthy: bool,
    summary: String,
    /// How the call ended, as a label.
    outcome: &'static str,
    /// How the plugin that was asked misbehaved, if it did.
    misbehaved: Option<String>,
}

impl Answer {
    fn unhealthy(outcome: &'static str, summary: String) -> Self {
        Self { healthy: false, summary, outcome, misbehaved: None }
    }

    fn healthy(summary: String) -> Self {
        Self { healthy: true, summary, outcome: "reply", misbehaved: None }
    }
}

impl Asker {
    async fn ask(&self, question: &Question, probe: &ProbePlan, scope: &CallScope) -> Answer {
        match &probe.check {
            Check::Process => Answer::healthy("it runs".to_owned()),
            Check::Command(argv) => self.command(question, probe, argv).await,
            Check::Plugin { plugin, address, settings, .. } => {
                let Some(found) = self.packages.probe(plugin) else {
                    return Answer::unhealthy("missing", format!("there is no probe `{plugin}`"));
                };
                let target = ProbeTarget {
                    component: &question.plan.id,
                    address: address.as_deref(),
                    phase: question.phase,
                    settings,
                };
                let deadline = probe.schedule.timeout.into();
                let Some(scope) = self.of_this_launch(question, &probe.check, scope.clone()).await else {
                    return Answer::unhealthy("missing", "it has just ended".to_owned());
                };
                self.plugin(plugin, found, ProbeCall { target, scope, deadline }).await
            }
        }
    }

    /// What an earlier launch printed says nothing about this one. None when this one is over.
    async fn of_this_launch(
        &self,
        question: &Question,
        check: &Check,
        scope: CallScope,
    ) -> Option<CallScope> {
        let Check::Plugin { log: Some(LogSource::Output), .. } = check else { return Some(scope) };
        let log_begin = record::begin(&self.state, &question.plan.id, question.instance).await;
        let over = log_begin.is_none() && matches!(self.look(question.process, None).await, Ok(Seen::Gone));
        (!over).then_some(CallScope { log_begin, ..scope })
    }

    /// Whether a good answer is one of this process: it may have ended, or somebody else may have its port.
    async fn is_its_own(
        &self,
        question: &Question,
        check: &Check,
        target: Option<&Target>,
    ) -> Result<(), String> {
        let process = question.process;
        let listener = match (check, target) {
            (Check::Plugin { listener: Listener::Own, .. }, Some(target)) => {
                Some((target.clone(), self.launcher.marker(&question.plan.id, question.instance)))
            }
            _ => None,
        };
        let port = listener.as_ref().map_or(0, |(target, _)| target.port());
        match self.look(process, listener).await {
            Ok(Seen::Gone) => Err("it has just ended".to_owned()),
            Ok(Seen::Alive(Owner::Other(holder))) => Err(format!(
                "port {port} is held by {holder}, not by this service: end that one or change the port, or set `\"listener\": \"any\"` if it is meant to answer"
            )),
            Ok(Seen::Alive(Owner::Service)) => Ok(()),
            Err(error) => {
                tracing::warn!(component = %question.plan.id, "nobody can tell whose answer it was: {error}");
                Ok(())
            }
        }
    }

    /// Through the porter, and on a thread that may wait for him.
    async fn look(&self, process: Process, listener: Option<(Target, String)>) -> std::io::Result<Seen> {
        let porter = Arc::clone(&self.porter);
        let look = move || porter.look(process, listener);
        tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    async fn plugin(&self, plugin: &PluginId, probe: &dyn Probe, call: ProbeCall<'_>) -> Answer {
        let ProbeCall { target, deadline, .. } = call;
        let component = target.component;
        let tape = self.rings.wants(component).then(Tape::record);
        let report = match &tape {
            None => probe.check(call).await,
            Some(tape) => tape.around(probe.check(call)).await,
        };
        let healthy = matches!(&report.outcome, Outcome::Reply(reply) if reply.health.is_well());
        let recorded = tape.and_then(|tape| {
            let whose = whose(self.packages.get(plugin)?, Role::Probe)?;
            let (address, settings) = (target.address.map(str::to_owned), target.settings.to_owned());
            let asked = AskedOf::Probe { address, phase: target.phase, settings };
            Some(Call::new(whose, deadline, asked, tape.take(), &report.outcome))
        });
        self.rings.answered(component, healthy, recorded);
        let outcome = report.outcome.as_str();
        self.metrics.observe_call(plugin, outcome);
        for denied in report.record.denied() {
            tracing::debug!(%plugin, %denied, "a probe was denied something");
        }
        guest_log::tell(plugin, component, &report.log);
        let misbehaved = misbehavior(&report).map(|what| format!("{plugin}: {what}"));
        let answer = match report.outcome {
            Outcome::Reply(reply) => Answer {
                healthy: reply.health.is_well(),
                summary: reply.summary,
                ..Answer::unhealthy(outcome, String::new())
            },
            Outcome::Refused(error) => Answer::unhealthy(outcome, format!("{plugin}: {}", error.message)),
            Outcome::Failed(failure) => {
                Answer::unhealthy(outcome, format!("{plugin} gave no answer: {failure}"))
            }
        };
        Answer { misbehaved, ..answer }
    }

    async fn command(&self, question: &Question, probe: &ProbePlan, argv: &[String]) -> Answer {
        let timeout = probe.schedule.timeout;
        let report = match self.launcher.check(&question.plan, argv, timeout).await {
            Ok(report) => report,
            Err(error) => return Answer::unhealthy("not-started", error.to_string()),
        };
        let (healthy, summary) = nagios(report.end, &report.output, timeout.into());
        let outcome = match report.end {
            CheckEnd::Exited(ExitStatus::Code(_)) => "reply",
            CheckEnd::Exited(_) => "trap",
            CheckEnd::TimedOut => "deadline",
        };
        if healthy { Answer::healthy(summary) } else { Answer::unhealthy(outcome, summary) }
    }

    /// What each call of this question may reach besides what was granted at load.
    fn scope(&self, question: &Question, check: &Check) -> CallScope {
        let Check::Plugin { address, log, .. } = check else { return CallScope::default() };
        let log = log.as_ref().map(|log| match log {
            LogSource::Output => output_file(&self.state, &question.plan.id).to_string_lossy().into_owned(),
            LogSource::File(path) => path.clone(),
        });
        CallScope {
            target: address.as_deref().and_then(|address| address.parse().ok()),
            log,
            ..CallScope::default()
        }
    }

    async fn keep_asking(self, question: Question, driver: Handle) {
        let Some(probe) = question.plan.probes.of(question.phase) else { return };
        let interval: Duration = probe.schedule.interval.into();
        let scope = self.scope(&question, &probe.check);
        let begun = Instant::now();
        let mut starting = (question.phase != Phase::Liveness).then(|| Starting::new(&self.starting));
        if question.phase == Phase::Liveness {
            // It has just answered; and components that became ready together need not be asked together.
            tokio::time::sleep(interval.mul_f64(spread(&question.plan.id))).await;
        }
        loop {
            let asked = Instant::now();
            let mut answer = self.ask(&question, probe, &scope).await;
            if answer.healthy
                && question.phase == Phase::Startup
                && let Err(why) = self.is_its_own(&question, &probe.check, scope.target.as_ref()).await
            {
                answer = Answer::unhealthy("reply", why);
            }
            self.metrics.observe_probe(&question.plan.id, question.phase, answer.outcome, asked.elapsed());
            let (component, instance, phase) = (question.plan.id.clone(), question.instance, question.phase);
            driver.input(match answer.misbehaved {
                Some(what) => Input::Misbehaved { component, instance, phase, what },
                None => {
                    let Answer { healthy, summary, .. } = answer;
                    Input::Probed { component, instance, phase, healthy, summary }
                }
            });
            let age = begun.elapsed();
            starting = starting.filter(|starting| starting.wait(age, Duration::MAX) < interval);
            let wait = starting.as_ref().map_or(interval, |starting| starting.wait(age, interval));
            tokio::time::sleep(wait).await;
        }
    }
}

/// What a native check's end means, by Nagios' exit codes: whether it is well, and in words. A warning counts as well only if
/// the check says the word: many a plain script exits 1 to say that all is lost.
pub(crate) fn nagios(end: CheckEnd, output: &str, limit: Duration) -> (bool, String) {
    let said = output.lines().next().unwrap_or_default().trim();
    let with = |word: &str| if said.is_empty() { word.to_owned() } else { format!("{word}: {said}") };
    match end {
        CheckEnd::Exited(ExitStatus::Code(0)) => (true, with("ok")),
        CheckEnd::Exited(ExitStatus::Code(1)) if said.contains("WARNING") => (true, with("warning")),
        CheckEnd::Exited(exit) => (false, with(&format!("health check {exit}"))),
        CheckEnd::TimedOut => {
            (false, with(&format!("health check did not end within {} ms", limit.as_millis())))
        }
    }
}

/// A place between one half and one, from the name.
fn spread(id: &ComponentId) -> f64 {
    let sum = id.as_str().bytes().fold(17_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    0.5 + f64::from(sum % 1_000) / 2_000.0
}

/// The questions being asked.
pub(crate) struct Questions {
    asker: Asker,
    driver: Handle,
    runtime: tokio::runtime::Handle,
    asked: HashMap<ComponentId, Vec<Asked>>,
}

struct Asked {
    instance: InstanceId,
    phase: Phase,
    task: AbortHandle,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Questions {
    /// None yet.
    pub(crate) fn new(asker: Asker, driver: Handle, runtime: tokio::runtime::Handle) -> Self {
        Self { asker, driver, runtime, asked: HashMap::new() }
    }
}

impl Watching for Questions {
    fn watch(&mut self, component: &ComponentId, questions: Vec<Question>) {
        let mut before = self.asked.remove(component).unwrap_or_default();
        let mut now = Vec::with_capacity(questions.len());
        for question in questions {
            let (instance, phase) = (question.instance, question.phase);
            let same = before.iter().position(|asked| asked.instance == instance && asked.phase == phase);
            now.push(match same {
                Some(at) => before.swap_remove(at),
                None => {
                    let asking = self.asker.clone().keep_asking(question, self.driver.clone());
                    Asked { instance, phase, task: self.runtime.spawn(asking).abort_handle() }
                }
            });
        }
        if !now.is_empty() {
            self.asked.insert(component.clone(), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_start_are_asked_often_and_never_too_often_together() {
        let all = Arc::default();
        let millis = Duration::from_millis;
        let one = Starting::new(&all);
        let wait = |age: u64, interval: u64| one.wait(millis(age), millis(interval));
        assert_eq!([wait(0, 250), wait(200, 250), wait(4_000, 250)], [5, 5, 100].map(millis));
        assert_eq!([wait(60_000, 250), wait(60_000, 2)], [250, 2].map(millis));
        let more: Vec<_> = (1..200).map(|_| Starting::new(&all)).collect();
        assert_eq!([wait(0, 250), wait(0, 20), wait(4_000, 250)], [50, 20, 100].map(millis));
        drop(more);
        assert_eq!(wait(0, 250), millis(5));
    }
}
