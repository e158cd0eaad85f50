//! One recorded call, again: the same plugin, or another one of its name, is asked the same with the tape of the recorded call
//! around it. Nothing is reached, nothing is paid for, nothing is kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use razar_core::document::grants::Grants;
use razar_core::grant::{CallScope, Grant};
use razar_core::id::{ComponentId, Digest, PluginId};
use razar_core::trust::Signers;
use razar_runtime::Runtime;
use razar_runtime::contract::agent::{AgentCall, Answer, Brief, Remedy, Step};
use razar_runtime::contract::evaluator::{EvaluatorCall, Judgement};
use razar_runtime::contract::{ProbeCall, ProbeTarget};
use razar_runtime::locked::LOCK;
use razar_runtime::outcome::Outcome;
use razar_runtime::package::{MANIFEST, Package};
use razar_runtime::plugin::LoadedPlugin;
use razar_runtime::tape::{EndedBy, Tape};
use serde_json::Value;

use super::calls::{Asked, Call, ended, is_of_time};
use crate::packages::{named_by, vouched};

/// How a call came out this time.
#[derive(Debug, PartialEq, Eq)]
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

/// How long one replay may take: what takes longer is left out, whoever recorded it. Most take seconds.
pub(crate) const MAX_TIME: Duration = Duration::from_secs(30 * 60);

/// Whoever plays.
pub(crate) struct Player<'a> {
    /// Nothing more is played from then on.
    pub(crate) until: Instant,
    pub(crate) runtime: &'a Arc<Runtime>,
    /// Where plugins are looked for.
    pub(crate) plugins: &'a [PathBuf],
    /// Whose signatures are believed, if that is asked.
    pub(crate) signers: Option<&'a Signers>,
    /// Where directories of tapes are laid out.
    pub(crate) scratch: &'a Path,
}

impl Player<'_> {
    /// Plays one.
    pub(crate) async fn play(&self, component: &ComponentId, brief: Option<&Brief>, call: &Call) -> Again {
        if let Some(why) = call.recording.left_out.first() {
            return Again::left_out(why.clone());
        }
        if Instant::now() >= self.until {
            let why =
                format!("this replay has taken {} minutes, and none takes longer", MAX_TIME.as_secs() / 60);
            return Again::left_out(why);
        }
        let plugin = match self.load(call).await {
            Ok(plugin) => plugin,
            Err(why) => return Again::left_out(why),
        };
        let other_code = Some(plugin.inspection().digest).filter(|digest| *digest != call.digest);
        let ended_by = match (call.timed_out(), other_code) {
            (false, _) => EndedBy::Guest,
            (true, None) => EndedBy::Time,
            (true, Some(_)) => EndedBy::TimeOfOtherCode,
        };
        let laid_out = tempfile::tempdir_in(self.scratch).and_then(|dir| {
            let tape = Tape::play(call.recording.clone(), dir.path(), ended_by)?;
            Ok((dir, tape))
        });
        let (dir, tape) = match laid_out {
            Ok(laid_out) => laid_out,
            Err(error) => return Again::left_out(format!("its files cannot be laid out: {error}")),
        };
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
                again.played = compare(call, other_code, tape.difference(), &report.outcome);
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
                again.played = compare(call, other_code, tape.difference(), &report.outcome);
                again.judgement = Some(report.outcome);
            }
            Asked::Probe { address, phase, settings } => {
                let Some(probe) = plugin.probe() else { return again };
                let target = ProbeTarget { component, address: address.as_deref(), phase: *phase, settings };
                let asked = ProbeCall { target, scope: CallScope::default(), deadline };
                let report = tape.around(probe.check(asked)).await;
                again.played = compare(call, other_code, tape.difference(), &report.outcome);
            }
        }
        again
    }

    /// The plugin of that name, with the limits it had; the one with the recorded code before any other.
    async fn load(&self, call: &Call) -> Result<Arc<LoadedPlugin>, String> {
        let grant = Grant { limits: call.given(), ..Grant::default() };
        let given = Grants::from([(call.plugin.clone(), grant)]);
        let (mut wrong, mut other) = (None, None);
        for dir in self.plugins {
            match self.found(dir, &call.plugin, &given).await {
                Ok(Some(plugin)) if plugin.inspection().digest == call.digest => return Ok(plugin),
                Ok(plugin) => other = other.or(plugin),
                Err(why) => wrong = wrong.or(Some(why)),
            }
        }
        other.ok_or_else(|| {
            let name = &call.plugin;
            let missing = || format!("there is no plugin `{name}`: name its directory with `--plugins DIR`");
            wrong.map_or_else(missing, |why| format!("the plugin `{name}` is not loaded: {why}"))
        })
    }

    /// What goes by this name in a directory of packages, open or locked, or is the one package there: as a host would load it.
    async fn found(
        &self,
        dir: &Path,
        name: &PluginId,
        given: &Grants,
    ) -> Result<Option<Arc<LoadedPlugin>>, String> {
        let is_locked = dir.join(LOCK).exists();
        let read = |place: &Path| (!is_locked && place.join(MANIFEST).exists()).then(|| Package::read(place));
        // What cannot be read has no name but that of its directory.
        for place in [dir, &dir.join(name.as_str())] {
            if named_by(place).as_ref() == Some(name)
                && let Some(Err(error)) = read(place)
            {
                return Err(error.to_string());
            }
        }
        if let Some(package) = read(dir).and_then(Result::ok).filter(|package| package.manifest.name == *name)
        {
            self.vouch(&package)?;
            let grant = given.get(name).cloned().unwrap_or_default();
            let plugin = self.runtime.load(package.source(), &grant).await;
            return plugin.map(|plugin| Some(Arc::new(plugin))).map_err(|error| error.to_string());
        }
        let found = self.runtime.load_named(dir, name, given).await.map_err(|error| error.to_string())?;
        if let Some(installed) = found.loaded().next() {
            self.vouch(&installed.package)?;
            return Ok(Some(Arc::clone(&installed.plugin)));
        }
        let failed = found.failed().iter().find(|failed| failed.id.as_ref() == Some(name));
        failed.map_or(Ok(None), |failed| Err(failed.error.to_string()))
    }

    fn vouch(&self, package: &Package) -> Result<(), String> {
        self.signers
            .map_or(Ok(()), |signers| vouched(package, signers))
            .map_err(|problem| problem.to_string())
    }
}

fn compare<T: serde::Serialize>(
    call: &Call,
    other_code: Option<Digest>,
    difference: Option<String>,
    outcome: &Outcome<T>,
) -> Played {
    let was = told(&call.end);
    if let Some(is) = difference {
        return Played::Differs { was, is };
    }
    let end = ended(outcome);
    if end == call.end || call.timed_out() && is_of_time(&end) {
        return Played::Same;
    }
    let is = told(&end);
    if call.timed_out() && other_code.is_none() {
        let why = "it had computed until its time was over, and how far that goes is the machine's";
        return Played::LeftOut(format!("{why}: was {was}, here {is}"));
    }
    Played::Differs { was, is }
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

#[cfg(test)]
mod tests {
    use razar_core::fact::Phase;
    use razar_core::grant::{Limits, Role};
    use razar_runtime::outcome::PluginFailure;
    use razar_runtime::tape::recording::Recording;

    use super::*;

    fn call(end: &Outcome<u8>) -> Call {
        let asked = Asked::Probe { address: None, phase: Phase::Liveness, settings: String::new() };
        let whose = ("probe-a".parse().unwrap(), Digest::of(b""), &Limits::defaults(Role::Probe));
        Call::new(whose, Duration::ZERO, asked, Recording::default(), end)
    }

    #[test]
    fn a_call_that_its_time_ended_differs_by_no_machines_speed() {
        let late = || Outcome::<u8>::Failed(PluginFailure::Deadline(Duration::from_secs(1)));
        let cancelled = Outcome::<u8>::Failed(PluginFailure::Cancelled);
        let other = Some(Digest::of(b"other"));
        for was in [late(), cancelled] {
            let was = call(&was);
            assert_eq!(compare(&was, None, None, &late()), Played::Same);
            assert_eq!(compare(&was, other, None, &late()), Played::Same);
            // Here it computes faster, or it is other code that comes to an end.
            let faster = compare(&was, None, None, &Outcome::Reply(7));
            assert!(matches!(&faster, Played::LeftOut(why) if why.contains("the machine's")), "{faster:?}");
            assert!(matches!(compare(&was, other, None, &Outcome::Reply(7)), Played::Differs { .. }));
            let asks = compare(&was, None, Some("it asks".to_owned()), &late());
            assert!(matches!(&asks, Played::Differs { is, .. } if is == "it asks"), "{asks:?}");
        }
        let replied = call(&Outcome::Reply(7));
        assert_eq!(compare(&replied, None, None, &Outcome::Reply(7)), Played::Same);
        for is in [Outcome::Reply(8), late()] {
            assert!(matches!(compare(&replied, None, None, &is), Played::Differs { .. }));
        }
    }
}
