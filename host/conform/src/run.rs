//! One case against a runtime: load, call, and write down all that the host knows about it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use razar_core::fact::Phase;
use razar_core::id::ComponentId;
use razar_runtime::Runtime;
use razar_runtime::broker::journal::CallRecord;
use razar_runtime::broker::log::LogRecord;
use razar_runtime::contract::evaluator::{EvaluatorCall, Judgement, Request};
use razar_runtime::contract::{ProbeCall, ProbeTarget, Report};
use razar_runtime::load::Source;
use razar_runtime::outcome::{CallReport, Outcome};
use razar_runtime::plugin::LoadedPlugin;
use tokio::task::JoinSet;

use crate::case::Ready;

/// The component every case is asked about.
const COMPONENT: &str = "web";

/// What came of one call, or of the load that would have come before.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// `load`, `dropped`, or the outcome's own word.
    pub end: String,
    /// In the host's words, or the plugin's when it replied.
    pub message: String,
    /// What it was refused.
    pub record: CallRecord,
    /// What it printed.
    pub log: LogRecord,
    /// Instructions it took, where they are counted.
    pub fuel: Option<u64>,
    /// How long it took.
    pub wall: Duration,
    /// How long of that it waited for a place.
    pub queued: Duration,
}

/// Loads the guest and makes the case's calls.
pub async fn run(runtime: &Runtime, case: &Ready, wasm: Vec<u8>) -> Vec<Seen> {
    let source = Source { id: case.plugin.clone(), request: case.request.clone(), wasm: wasm.into() };
    let begun = Instant::now();
    let plugin = match runtime.load(source, &case.grant).await {
        Ok(plugin) => Arc::new(plugin),
        Err(error) => {
            let end = "load".to_owned();
            return vec![Seen { end, message: error.to_string(), wall: begun.elapsed(), ..Seen::default() }];
        }
    };
    call(&plugin, case).await
}

/// Makes the case's calls of a loaded guest.
pub async fn call(plugin: &Arc<LoadedPlugin>, case: &Ready) -> Vec<Seen> {
    let mut calls = JoinSet::new();
    for _ in 0..case.at_once {
        calls.spawn(one(Arc::clone(plugin), case.clone()));
    }
    calls.join_all().await
}

async fn one(plugin: Arc<LoadedPlugin>, case: Ready) -> Seen {
    let begun = Instant::now();
    let ended = |end: &str, message: String| Seen {
        end: end.to_owned(),
        message,
        wall: begun.elapsed(),
        ..Seen::default()
    };
    match &case.tree {
        Some([tree, scratch]) => {
            let Some(evaluator) = plugin.evaluator() else {
                return ended("load", "it is no evaluator".to_owned());
            };
            let request = Request {
                component: COMPONENT.to_owned(),
                changed: Vec::new(),
                settings: case.settings.clone(),
                extensions: Vec::new(),
            };
            let call = EvaluatorCall { request: &request, tree, scratch, deadline: case.deadline };
            let report = within(case.drop_after, evaluator.evaluate(call)).await;
            report.map_or_else(|| ended("dropped", LEFT.to_owned()), |report| seen(report, judged))
        }
        None => {
            let (Some(probe), Ok(component)) = (plugin.probe(), COMPONENT.parse::<ComponentId>()) else {
                return ended("load", "it is no probe".to_owned());
            };
            let target = ProbeTarget {
                component: &component,
                address: case.address.as_deref(),
                phase: Phase::Liveness,
                settings: &case.settings,
            };
            let call = ProbeCall { target, scope: case.scope.clone(), deadline: case.deadline };
            let report = within(case.drop_after, probe.check(call)).await;
            report.map_or_else(|| ended("dropped", LEFT.to_owned()), |report| seen(report, reported))
        }
    }
}

/// What is said of a call that nobody waits for any more.
const LEFT: &str = "nobody waits any more";

/// The end of a call; none when its caller goes away before.
async fn within<T>(time: Option<Duration>, call: impl Future<Output = T>) -> Option<T> {
    match time {
        None => Some(call.await),
        Some(time) => tokio::time::timeout(time, call).await.ok(),
    }
}

fn reported(report: &Report) -> String {
    format!("{}: {}", report.health.as_str(), report.summary)
}

fn judged(judgement: &Judgement) -> String {
    format!("{}: {}", judgement.outcome.as_str(), judgement.summary)
}

fn seen<T>(report: CallReport<T>, words: impl FnOnce(&T) -> String) -> Seen {
    let message = match &report.outcome {
        Outcome::Reply(reply) => words(reply),
        Outcome::Refused(error) => format!("{}: {}", error.kind.as_str(), error.message),
        Outcome::Failed(failure) => failure.to_string(),
    };
    Seen {
        end: report.outcome.as_str().to_owned(),
        message,
        record: report.record,
        log: report.log,
        fuel: report.usage.fuel,
        wall: report.usage.wall,
        queued: report.usage.queued,
    }
}
