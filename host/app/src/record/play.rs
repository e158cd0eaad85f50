//! One recorded call, again: the same plugin, or another one of its name, is asked the same with the tape of the recorded call
//! around it. Nothing is reached, nothing is paid for, nothing is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use razar_core::grant::{CallScope, Grant};
use razar_core::id::{ComponentId, Digest, PluginId};
use razar_runtime::Runtime;
use razar_runtime::contract::agent::{AgentCall, Answer, Brief, Remedy, Step};
use razar_runtime::contract::evaluator::{EvaluatorCall, Judgement};
use razar_runtime::contract::{ProbeCall, ProbeTarget};
use razar_runtime::outcome::{CallReport, Outcome};
use razar_runtime::package::Package;
use razar_runtime::plugin::LoadedPlugin;
use razar_runtime::tape::Tape;
use serde_json::Value;

use super::calls::{Asked, Call, ended};

/// How a call came out this time.
#[derive(Debug)]
pub(crate) enum Played {
    /// As it did.
    Same,
    /// Otherwise: what was, and what is.
    Differs { was: String, is: String },
    /// It was not played, because.
    LeftOut(String),
}

/// A call that was played, with what its answer is good for.
#[derive(Debug)]
pub(crate) struct Again {
    pub(crate) played: Played,
    /// The code that was played is another one than the one that was recorded.
    pub(crate) other_code: Option<Digest>,
    /// What an agent said.
    pub(crate) answer: Option<Answer>,
    /// What an evaluator said, or why it could not.
    pub(crate) judgement: Option<Outcome<Judgement>>,
}

impl Again {
    fn left_out(why: String) -> Self {
        Self { played: Played::LeftOut(why), other_code: None, answer: None, judgement: None }
    }
}

/// Whoever plays.
pub(crate) struct Player<'a> {
    pub(crate) runtime: &'a Runtime,
    /// Where plugins are looked for.
    pub(crate) plugins: &'a [PathBuf],
    /// Where directories of tapes are laid out.
    pub(crate) scratch: &'a Path,
}

impl Player<'_> {
    /// Plays one.
    pub(crate) async fn play(&self, component: &ComponentId, brief: Option<&Brief>, call: &Call) -> Again {
        if let Some(why) = call.recording.left_out.first() {
            return Again::left_out(why.clone());
        }
        let plugin = match self.load(call).await {
            Ok(plugin) => plugin,
            Err(why) => return Again::left_out(why),
        };
        let laid_out = tempfile::tempdir_in(self.scratch).and_then(|dir| {
            let tape = Tape::play(call.recording.clone(), dir.path(), call.timed_out())?;
            Ok((dir, tape))
        });
        let (dir, tape) = match laid_out {
            Ok(laid_out) => laid_out,
            Err(error) => return Again::left_out(format!("its files cannot be laid out: {error}")),
        };
        let other_code = Some(plugin.inspection().digest).filter(|digest| *digest != call.digest);
        let deadline = Duration::from_millis(call.deadline_ms);
        let mut again =
            Again { other_code, ..Again::left_out(format!("it is no {} any more", call.asked.role())) };
        match &call.asked {
            Asked::Agent { turn, settings } => {
                let Some(agent) = plugin.agent() else { return again };
                let Some(brief) = brief else {
                    return Again::left_out("what it was told is not in the recording".to_owned());
                };
                let turn = turn.as_ref();
                let report = tape.around(agent.propose(AgentCall { brief, turn, settings, deadline })).await;
                again.played = compare(call, &tape, &report);
                if let Outcome::Reply(answer) = report.outcome {
                    again.answer = Some(answer);
                }
            }
            Asked::Evaluator { request, .. } => {
                let Some(evaluator) = plugin.evaluator() else { return again };
                // What it is shown is on the tape.
                let (tree, scratch) = (dir.path(), dir.path());
                let asked = EvaluatorCall { request, tree, scratch, deadline };
                let report = tape.around(evaluator.evaluate(asked)).await;
                again.played = compare(call, &tape, &report);
                again.judgement = Some(report.outcome);
            }
            Asked::Probe { address, phase, settings } => {
                let Some(probe) = plugin.probe() else { return again };
                let target = ProbeTarget { component, address: address.as_deref(), phase: *phase, settings };
                let asked = ProbeCall { target, scope: CallScope::default(), deadline };
                let report = tape.around(probe.check(asked)).await;
                again.played = compare(call, &tape, &report);
            }
        }
        again
    }

    /// The plugin of that name, with the limits it had; the one with the recorded code before any other.
    async fn load(&self, call: &Call) -> Result<LoadedPlugin, String> {
        let grant = Grant { limits: call.given(), ..Grant::default() };
        let mut wrong = None;
        let mut other = None;
        for dir in self.plugins {
            for place in [dir.clone(), dir.join(call.plugin.as_str())] {
                let Some(package) = package(&place, &call.plugin) else { continue };
                match self.runtime.load(package.source(), &grant).await {
                    Ok(plugin) if plugin.inspection().digest == call.digest => return Ok(plugin),
                    Ok(plugin) => other = other.or(Some(plugin)),
                    Err(error) => wrong = wrong.or(Some(error.to_string())),
                }
            }
        }
        let missing = || {
            let why = wrong.unwrap_or_else(|| "name its directory with `--plugins DIR`".to_owned());
            format!("there is no plugin `{}`: {why}", call.plugin)
        };
        other.ok_or_else(missing)
    }
}

fn package(dir: &Path, name: &PluginId) -> Option<Package> {
    Package::read(dir).ok().filter(|package| package.manifest.name == *name)
}

fn compare<T: serde::Serialize>(call: &Call, tape: &Tape, report: &CallReport<T>) -> Played {
    let was = told(&call.end);
    if let Some(is) = tape.difference() {
        return Played::Differs { was, is };
    }
    let end = ended(&report.outcome);
    if end == call.end { Played::Same } else { Played::Differs { was, is: told(&end) } }
}

/// How a call ended, for people.
fn told(end: &Value) -> String {
    let outcome = end.get("outcome").and_then(Value::as_str).unwrap_or_default();
    match end.get("said") {
        None | Some(Value::Null) => outcome.to_owned(),
        Some(said) => format!("{outcome} {said}"),
    }
}

impl Again {
    /// The proposal, if that is what an agent said.
    pub(crate) fn remedy(&self) -> Option<&Remedy> {
        match &self.answer.as_ref()?.step {
            Step::Propose(proposal) => Some(&proposal.remedy),
            Step::UseTools(_) => None,
        }
    }
}
